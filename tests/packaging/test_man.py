"""Man pages and help: a page per command, sound, and examples that the command line takes."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from reconciler.cli.help_text import EXAMPLES
from reconciler.cli.main import program
from tests.conftest import missing
from tests.hosts.program import as_installed


def commands(words: tuple[str, ...] = (), found: Any = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    found = get_command(program) if found is None else found
    yield words, found
    for name, below in getattr(found, "commands", {}).items():
        yield from commands((*words, name), below)


def ci_warm(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*as_installed(), *words], capture_output=True, text=True, timeout=60)


def test_there_is_a_sound_page_for_every_command(tmp_path: Path) -> None:
    if shutil.which("mandoc") is None:
        missing("no mandoc (apt-get install mandoc)")
    assert ci_warm("man", str(tmp_path)).returncode == 0
    pages = {path.name for path in tmp_path.iterdir()}
    assert pages == {"-".join(("ci-warm", *words)) + ".1" for words, _ in commands()} and len(pages) > 40
    argv = ["mandoc", "-T", "lint", "-W", "warning", *(str(tmp_path / page) for page in sorted(pages))]
    lint = subprocess.run(argv, capture_output=True, text=True)
    assert (lint.returncode, lint.stdout) == (0, "")


def test_a_page_says_all_that_the_command_takes(tmp_path: Path) -> None:
    ci_warm("man", str(tmp_path))
    for words, command in commands():
        page = (tmp_path / ("-".join(("ci-warm", *words)) + ".1")).read_text()
        for option in command.params:
            shown = option.param_type_name == "option" and not option.hidden
            for name in option.opts if shown else ():
                assert name.replace("-", "\\-") in page, (words, name)
        for below in getattr(command, "commands", {}):
            assert " ".join((*words, below)).replace("-", "\\-") in page, (words, below)


def test_a_folder_that_is_none_is_exit_2_and_nothing_is_written(tmp_path: Path) -> None:
    ran = ci_warm("man", str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr) == (2, f"error: {tmp_path / 'none'} is not a folder\n")
    assert list(tmp_path.iterdir()) == []


def test_every_command_has_examples_that_it_takes() -> None:
    known = {" ".join(words): command for words, command in commands() if not hasattr(command, "commands")}
    assert known.keys() == EXAMPLES.keys()
    for words, examples in EXAMPLES.items():
        for example in examples:
            given = shlex.split(example)
            while given[0].startswith("-"):
                given.pop(0)  # a global option
            assert given[: len(words.split())] == words.split()
            known[words].make_context(words, given[len(words.split()) :])


@pytest.mark.parametrize("heading", ["Look", "Act and decide", "Data", "Test", "Host"])
def test_help_is_by_task(heading: str) -> None:
    assert f"\n{heading}:\n" in ci_warm("--help").stdout


def test_examples_stand_in_the_help() -> None:
    assert "Examples:\n    ci-warm suspend notes --reason 'exams' --until 3d\n" in ci_warm("suspend", "--help").stdout


def test_help_starts_without_what_is_slow() -> None:
    """Neither models nor Docker nor rich; what is imported is what a start costs."""
    slow = {"pydantic", "docker", "requests", "rich", "yaml", "reconciler.model.app"}
    code = "import sys; from reconciler.cli.main import program; program(['--help'], standalone_mode=False); "
    code += f"print(sorted({slow!r} & set(sys.modules)))"
    argv = [sys.executable, "-c", code]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.endswith("\n[]\n")
