"""Completion in real shells: commands, options, and the names that are published; never an error."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hosts.program import as_installed
from tests.packaging import shells

FILES = {"bash": "ci-warm.bash", "zsh": "_ci-warm", "fish": "ci-warm.fish"}
APPS = {"notes": ("live", "2.0.0+6.0.0"), "wiki": ("live", None), "warm": ("canonical", None)}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host as those see it who are not root, and the program on the PATH."""
    state, apps = tmp_path / "state", tmp_path / "etc" / "apps"
    for folder in (state / "alerts", state / "runs" / "warm-cold-a1b2c3", apps):
        folder.mkdir(parents=True)
    published = [{"app": app, "kind": kind, "candidate": wanted} for app, (kind, wanted) in APPS.items()]
    (state / "status.json").write_text(json.dumps({"apps": published}))
    (state / "alerts" / "notes-held-major.json").write_text("{}")
    (state / "runs" / "warm-cold-a1b2c3" / "run.json").write_text("{}")
    (apps / "any.yaml").write_text("name: notebook\nrecipe: {}\n")
    (apps / "other.yaml").write_text("name: warmer\nkind: canonical\n")
    return tmp_path


def offered(host: Path, shell: str, *words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    folder = host / "bin"
    folder.mkdir()
    *rest, program = as_installed()[::-1]
    (folder / "ci-warm").write_text(f'#!/bin/sh\nexec {program} {" ".join(rest[::-1])} "$@"\n')
    (folder / "ci-warm").chmod(0o755)
    script = folder / FILES[shell]
    said = subprocess.run([*as_installed(), "completion", shell], capture_output=True, text=True, check=True)
    script.write_text(said.stdout)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("CI_WARM_STATE_DIR", str(host / "state"))
    monkeypatch.setenv("CI_WARM_CONFIG", str(host / "etc" / "config.yaml"))
    return shells.offered(shell, script, ["ci-warm", *words], host)


LINES = [
    pytest.param(("snap",), ["snapshot"], id="a command"),
    pytest.param(("snapshot", "cr"), ["create"], id="a command of a group"),
    pytest.param(("suspend", "--un"), ["--until"], id="an option"),
    pytest.param(("explain", "note"), ["notebook", "notes"], id="apps, published or declared"),
    pytest.param(("cold", "w"), ["warm", "warmer"], id="recipes only"),
    pytest.param(("approve", "notes", ""), ["2.0.0+6.0.0"], id="the version that waits"),
    pytest.param(("runs", "show", "w"), ["warm-cold-a1b2c3"], id="runs"),
    pytest.param(("alerts", "ack", "n"), ["notes-held-major"], id="alerts"),
    pytest.param(("completion", ""), ["bash", "zsh", "fish"], id="shells"),
]


@pytest.mark.parametrize("shell", FILES)
@pytest.mark.parametrize(("words", "wanted"), LINES)
def test_what_is_offered(
    host: Path, shell: str, words: tuple[str, ...], wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered(host, shell, *words, monkeypatch=monkeypatch) == wanted


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apps": [1]}', '{"apps": {"a": 1}}'])
def test_a_status_that_cannot_be_read_is_no_error(host: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "state" / "status.json").write_text(text)
    assert offered(host, "bash", "explain", "note", monkeypatch=monkeypatch) == ["notebook"]


@pytest.mark.parametrize("shell", FILES)
def test_where_nothing_is_published_no_name_is_offered(host: Path, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(host / "state")
    assert [
        name for name in offered(host, shell, "runs", "show", "w", monkeypatch=monkeypatch) if "warm-" in name
    ] == []


def test_an_unknown_shell_is_one_line_and_exit_2() -> None:
    ran = subprocess.run([*as_installed(), "completion", "tcsh"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: no completion for 'tcsh'; there are: bash, zsh, fish\n"
