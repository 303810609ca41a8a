"""What the deploy tool makes of a bundle: the real tool's loader, before it asks an engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.deploy import stack
from reconciler.core.release import render
from reconciler.state.specs import RecipeYaml
from tests.builders import spec
from tests.conftest import missing
from tests.rendering import reading

_TOOL = """#!/bin/sh
case "$*" in *--help) echo "--detach"; exit 0 ;; esac
while [ "$1" != --compose-file ]; do shift; done
exec {real} stack config --compose-file "$2" >"$HOME/read"
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A docker CLI that reads what it is to deploy, and deploys nothing."""
    real = reading.tool(tmp_path)
    if real is None:
        missing("no docker CLI with `stack config`")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(_TOOL.replace("{real}", str(real)))
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    stack.knows.cache_clear()
    yield tmp_path
    stack.knows.cache_clear()


def test_an_empty_variable_of_a_service_is_not_filled_in_from_the_daemons(
    tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.test")
    monkeypatch.setenv("no_proxy", "ours.test")
    text = b"services: {app: {image: x, environment: {HTTPS_PROXY: '', LC_ALL: '', no_proxy: theirs, OTHER: ''}}}"
    content = render.RecipeContent(version="1.0.0+1", commit="c" * 40, files={"compose.yml": text}, overlays={})
    rendered = render.render(spec(), content, {}, RecipeYaml().compose)
    ran = stack.deploy(render.bundle(spec(), rendered, {"x": "x:1"}), tool, host=None, timeout_s=30)
    assert ran.code == 0, ran.output
    read = RecipeYaml().compose((tool / "read").read_bytes(), "read")["services"]
    assert isinstance(read, dict)
    assert read["app"]["environment"] == {"HTTPS_PROXY": "", "LC_ALL": "", "no_proxy": "theirs", "OTHER": ""}
