"""A command line starts with what it needs: the table of commands says what the commands themselves say."""

import json
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from reconciler.cli import commands
from reconciler.cli.main import program

LISTED = [(name, entry) for listed in commands.TABLE.values() for name, entry in listed.items()]
LOADED = """
import json, sys
from reconciler.cli import main
sys.argv[1:] = json.loads(sys.argv[1])
try: main()
except SystemExit: pass
sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    *("docker", "requests", "urllib3", "yaml", "dotenv", "rich", "apscheduler", "structlog", "apprise", "asyncio"),
    *("prometheus_client", "fastapi", "jinja2", "hypothesis", "semver", "multiprocessing"),
    *("reconciler.app", "reconciler.daemon_app", "reconciler.engine.context", "reconciler.model.settings"),
}
"""What looking at something published does not need."""


def loaded(*words: str) -> set[str]:
    argv = [sys.executable, "-c", LOADED, json.dumps(words)]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return set(json.loads(ran.stderr.splitlines()[-1]))


def root() -> Any:
    return get_command(program)


@pytest.mark.parametrize(("name", "entry"), LISTED, ids=[name for name, _ in LISTED])
def test_the_table_says_what_the_command_says(name: str, entry: commands.Command) -> None:
    found = root().commands[name]
    assert found.name == name
    assert entry.summary == found.get_short_help_str(1000)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_help_of_the_table_is_the_help_of_the_commands(columns: int) -> None:
    shown = CliRunner().invoke(program, ["--help"], env={"COLUMNS": str(columns)}, terminal_width=columns).stdout
    for heading, listed in commands.TABLE.items():
        section = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines() if not line.startswith("   ")] == list(listed)


def test_help_imports_no_command() -> None:
    found = loaded("--help")
    assert {name for name in found if name.startswith("reconciler.cli.")} == {
        *("reconciler.cli.main", "reconciler.cli.commands", "reconciler.cli.on_demand", "reconciler.cli.help_text"),
        *("reconciler.cli.common", "reconciler.cli.names", "reconciler.cli.start"),
    }
    assert not found & (HEAVY | {"pydantic", "importlib.metadata", "zipfile", "tempfile"})


def test_one_command_imports_no_other_one() -> None:
    files = {entry.at.partition(":")[0] for _, entry in LISTED}
    found = loaded("history", "--help")
    ours = {name.removeprefix("reconciler.cli.") for name in found if name.startswith("reconciler.cli.")}
    assert ours & files == {"history"}


def test_what_only_looks_needs_neither_docker_nor_yaml(tmp_path: Any) -> None:
    for words in (["status"], ["--verbose", "status"], ["history"], ["alerts", "list"]):
        assert not loaded("--state-dir", str(tmp_path), *words) & HEAVY, words


def test_a_command_that_is_none_is_named_with_what_is_near_without_an_import() -> None:
    done = CliRunner().invoke(program, ["staus"])
    assert done.exit_code == 2 and "Did you mean 'status'?" in done.stderr
    assert "reconciler.cli.inspect" not in loaded("staus")


def test_the_first_lines_of_a_log_are_as_it_was_set_up_whichever_thread_writes_them() -> None:
    code = (
        "import sys, threading; from reconciler import logs; logs.configure(verbose=False)\n"
        "assert 'structlog' not in sys.modules\n"
        "threads = [threading.Thread(target=logs.Log().warning, args=('seen',)) for _ in range(8)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\n"
        "assert 'rich' not in sys.modules\n"
        "import rich\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line)["event"] for line in ran.stderr.splitlines()] == ["seen"] * 8
