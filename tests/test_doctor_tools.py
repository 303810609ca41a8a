"""Versions of Engine and tools: what a `docker` program tells, and what of it is a finding."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler import doctor_tools
from reconciler.doctor import Finding

CLIENT = {"Version": "28.5.2", "ApiVersion": "1.51", "DefaultAPIVersion": "1.51"}
SERVER = {"Version": "28.5.2", "ApiVersion": "1.51", "MinAPIVersion": "1.24"}


def examine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, says: str = "", code: int = 0
) -> list[Finding]:
    """With a `docker` that answers so, and is asked for nothing else."""
    (folder / "answer").write_text(text)
    program = folder / "docker"
    asked = "--host unix:///here version --format {{json .}}"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "{asked}" ] || exit 9\ncat {folder}/answer\necho "{says}" >&2\nexit {code}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return list(doctor_tools.examine("unix:///here"))


def test_versions_that_fit_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = examine(tmp_path, monkeypatch, json.dumps({"Client": CLIENT, "Server": SERVER}))
    assert found.severity == "note"
    assert found.message.startswith("Engine 28.5.2 (API 1.24 to 1.51), docker 28.5.2 (API 1.51), docker-py 7.")


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "an Engine of 2019": ([CLIENT, {"Version": "19.03", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}], {}, "1.41"),
    "a program that is too old": (
        [CLIENT | {"ApiVersion": "1.41", "DefaultAPIVersion": "1.41"}, SERVER | {"MinAPIVersion": "1.44"}],
        {},
        "is too old for this Engine, which takes API 1.44",
    ),
    "no Engine": ([CLIENT, None], {"says": "Cannot connect", "code": 1}, "no Engine answers: Cannot connect"),
    "a program that is too new": ("", {"says": "client version 1.52 is too new", "code": 1}, "1.52 is too new"),
    "another program": ("usage: docker\n", {}, "does not tell its version: usage"),
}


@pytest.mark.parametrize(("told", "how", "says"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_a_finding(
    told: Any, how: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told if isinstance(told, str) else json.dumps(dict(zip(("Client", "Server"), told, strict=True)))
    found = examine(tmp_path, monkeypatch, text, **how)[-1]
    assert (found.severity, found.invariant) == ("error", "tools")
    assert says in found.message


def test_a_missing_program_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = doctor_tools.examine(None)
    assert "docker-cli" in found.message


@pytest.mark.swarm
def test_the_versions_of_a_real_engine_are_told(docker_host: str) -> None:
    [found] = doctor_tools.examine(docker_host)
    assert found.severity == "note", found.message
    assert found.message.startswith("Engine ")
