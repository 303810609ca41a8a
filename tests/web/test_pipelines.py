"""The example pipelines: what they ask for is asked for really, and what they type is taken by the command line."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from reconciler.cli.main import program
from reconciler.web.access import Role
from tests.daemon.scenes import QUICK
from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.waiting import until
from tests.web.site import Site

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "ci"
PIPELINES = sorted(EXAMPLES.glob("*.yaml"))
pytestmark = pytest.mark.repository


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    quick = {"min_healthy": "100ms", "successes": 1}
    with engine_host(tmp_path / "host", "embedded", extra={"kind": "canonical"}, health=quick) as made:
        made.set(daemon=QUICK, fetch_every="1s", runs={"max_tests": 1})
        made.release(V1)
        yield made


def ask(site: Site, role: Role, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(EXAMPLES / "ask.py"), site.url, *words]
    env = os.environ | {"CI_WARM_TOKEN": site.tokens[role]}
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, env=env)


def test_a_pipeline_without_root_ends_as_its_test_ended(host: EngineHost, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state, roles=tuple(Role))
    with host.program.daemon(), site.serving():
        until((host.state / "requests").is_dir, 60, "the daemon takes requests")
        green = ask(site, Role.CI, host.name, V1)
        assert green.returncode == 0, (green.stdout, green.stderr)
        assert re.search(r"^install  passed +\d", green.stdout, re.M)
        assert re.search(r"^\w+-[0-9a-f]{6}: cold green, confidence full$", green.stdout, re.M)
        host.release("1.0.1+5.0.1", FAIL="before")
        red = ask(site, Role.CI, host.name, "1.0.1+5.0.1")
        assert (red.returncode, "cold red" in red.stdout) == (1, True), (red.stdout, red.stderr)
        refused = ask(site, Role.CI, "nothing", V1)
        assert (refused.returncode, "no app of that name" in refused.stderr) == (2, True), refused.stderr
        assert ask(site, Role.READ, host.name, V1).returncode == 2
    assert ask(site, Role.CI, host.name, V1).returncode == 3  # nobody answers: the host's fault


def commands(value: Any) -> Iterator[str]:
    """Every text in a document that calls us."""
    if isinstance(value, dict):
        yield from (text for one in value.values() for text in commands(one))
    elif isinstance(value, list):
        yield from (text for one in value for text in commands(one))
    elif isinstance(value, str) and ("ci-warm " in value or "ask.py" in value):
        yield value


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_what_a_pipeline_types_is_taken(path: Path) -> None:
    found = list(commands(yaml.safe_load(path.read_text())))
    assert found
    for text in found:
        words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "7", text))
        if "ci-warm" in words:
            name, *rest = words[words.index("ci-warm") + 1 :]
            command = get_command(program).get_command(None, name)  # type: ignore[attr-defined]
            command.make_context(name, rest).close()
