"""What a child is started as: the program that runs, however it is installed."""

import os
import subprocess
import sys
import zipapp
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters import program

MODULE = (sys.executable, "-m", "reconciler")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    program.remember("")
    yield
    program.remember("")


def made(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("argv0", ["", "-c", "-m", "/nowhere/ci-warm", "no-such-program", "x/__main__.py", "\0", "."])
def test_what_is_no_program_is_the_module(argv0: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    made(tmp_path / "x" / "__main__.py")
    program.remember(argv0)
    assert program.argv() == MODULE


def test_a_script_is_itself_wherever_we_go_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = made(tmp_path / "ci-warm")
    (tmp_path / "link").symlink_to(script)
    monkeypatch.chdir(tmp_path)
    for argv0 in ("./ci-warm", str(script), "link"):
        program.remember(argv0)
        monkeypatch.chdir("/")
        assert program.argv() == (str(script),)
        monkeypatch.chdir(tmp_path)


def test_a_bare_name_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = made(tmp_path / "ci-warm")
    monkeypatch.setenv("PATH", str(tmp_path))
    program.remember("ci-warm")
    assert program.argv() == (str(script),)


def test_what_cannot_start_itself_is_started_by_this_interpreter(tmp_path: Path) -> None:
    plain = made(tmp_path / "ci-warm.py", 0o644)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text("")
    archive = tmp_path / "ci-warm.pyz"
    zipapp.create_archive(folder, archive, interpreter="/no/such/python")
    archive.chmod(0o755)  # its own first line may name another interpreter
    for path in (plain, folder, archive):
        program.remember(str(path))
        assert program.argv() == (sys.executable, str(path))


def test_scripts_of_ours_run_with_nothing_but_the_standard_library() -> None:
    words = program.script("reconciler.demo", "notes_app.py")
    assert words[1:3] == ["-I", "-S"] and Path(words[3]).is_file()
    argv = [*words[:3], "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('yaml') is not None)"]
    assert subprocess.run(argv, cwd="/", env={"PATH": os.defpath}).returncode == 0
