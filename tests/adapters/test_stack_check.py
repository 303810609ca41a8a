"""The deploy tool is asked about each document once, an old one not at all: a docker CLI of ours counts its calls."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.deploy.check import Checker
from reconciler.core.release import refusals
from reconciler.model.errors import ActError

_TOOL = """#!/bin/sh
echo "$*" >>"$HOME/calls"
case "$*" in *--help) echo "{help}"; exit 0 ;; --version) echo "{version}"; exit 0 ;; esac
input=$(cat)
case "$input" in
  *imagee*) echo "services.app Additional property imagee is not allowed" >&2; exit 1 ;;
  *1x*) printf 'decoding failed due to the following error(s):\\n\\nerror: invalid suffix\\n' >&2; exit 1 ;;
esac
"""
_OLD = "Usage:  docker stack [OPTIONS] COMMAND"
"""What CLI 20.10 of Debian 12 says to `docker stack config --help`, with exit code 0: it has no such command."""
_NEW = "Usage:  docker stack config [OPTIONS]   -c, --compose-file strings"
GOOD = {"services": {"app": {"image": "x", "environment": {"PRICE": "5$"}}, "db": {"image": "y"}}}
WRONG = {"services": {"app": {"image": "x", "imagee": "y"}}}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def install(folder: Path, *, helps: bool, version: str = "20.10.24") -> None:
    program = folder / "docker"
    said = f"Docker version {version}+dfsg1, build 297e128"
    program.write_text(_TOOL.replace("{help}", _NEW if helps else _OLD).replace("{version}", said))
    program.chmod(0o755)
    os.utime(program, ns=(0, next(_times)))  # another program, also where it lies at the path of an earlier test


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


_times = itertools.count(1)
SAYS = ("services.app Additional property imagee is not allowed",)


@pytest.mark.parametrize(("doc", "says"), [(GOOD, ()), (WRONG, SAYS)], ids=["right", "wrong"])
def test_a_document_is_asked_about_once(doc: dict[str, Any], says: tuple[str, ...], tool: Path) -> None:
    install(tool, helps=True)
    checker = Checker()
    for _ in range(5):
        assert checker.check(doc) == says
    assert sum("--help" not in call for call in calls(tool)) == 1


def test_words_without_a_place_are_told_with_the_service_and_key(tool: Path) -> None:
    install(tool, helps=True)
    doc = {"services": {"db": {"image": "y"}, "app": {"image": "x", "deploy": {"memory": "1x"}}}}
    assert Checker().check(doc) == ("services.app.deploy error: invalid suffix",)


def test_a_tool_without_the_command_is_not_asked(tool: Path) -> None:
    install(tool, helps=False)
    assert Checker().check(WRONG) is None
    assert all("--help" in call or call == "--version" for call in calls(tool))


@pytest.mark.parametrize(("version", "knows"), [("20.10.24", False), ("23.0.1", True), ("24.0.9", True)])
def test_job_modes_that_an_old_tool_does_not_know_are_refused_before_it_deploys(
    version: str, knows: bool, tool: Path
) -> None:
    install(tool, helps=False, version=version)
    doc = {"services": {"app": {"image": "x"}, "once": {"image": "y", "deploy": {"mode": "replicated-job"}}}}
    said = Checker().check(doc)
    if knows:
        assert said is None
        return
    assert said is not None
    [text] = said
    assert text.startswith("services.once.deploy.mode: Unknown mode: replicated-job")
    assert refusals.names_place(text)


def test_another_tool_is_asked_anew(tool: Path) -> None:
    install(tool, helps=False)
    checker = Checker()
    assert checker.check(WRONG) is None
    install(tool, helps=True)
    assert checker.check(WRONG) != ()


def test_no_tool_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ActError, match="docker cannot be started"):
        Checker().check(GOOD)
