"""Is `docker stack config` there to be asked? By what the CLI says: an old one has no such command and is content."""

import os
from pathlib import Path

import pytest

from reconciler.adapters.deploy.check import Checker

OLD = """#!/bin/sh
case "$*" in
  *--help) echo 'Usage:  docker stack [OPTIONS] COMMAND'; echo '  deploy      Deploy a new stack' ;;
  *) echo 'unknown flag: --compose-file' >&2; exit 125 ;;
esac
"""
NEW = """#!/bin/sh
case "$*" in
  *--help) echo 'Usage:  docker stack config [OPTIONS]'; echo '  -c, --compose-file strings   Path' ;;
  *) cat >/dev/null; echo 'services.app Additional property imagee is not allowed' >&2; exit 1 ;;
esac
"""
DOC = {"version": "3.8", "services": {"app": {"image": "x"}}}


@pytest.mark.parametrize(
    ("program", "said"),
    [(OLD, None), (NEW, ("services.app Additional property imagee is not allowed",))],
    ids=["as Engine 20.10 of Debian 12", "as CLI 25 and newer"],
)
def test_only_a_tool_that_has_the_command_is_asked(
    program: str, said: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(program)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Checker().check(DOC) == said
