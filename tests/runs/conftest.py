"""What tests of runs start from: a recipe that is enrolled, with two releases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

QUICK = {"min_healthy": "100ms", "successes": 1}


@pytest.fixture(params=["embedded", pytest.param("swarm", marks=pytest.mark.swarm)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHost]:
    """On both engines; two releases, the newer one migrates its data."""
    if request.param == "swarm":
        request.getfixturevalue("swarm")
    with engine_host(tmp_path / "host", request.param, extra={"kind": "canonical"}, health=QUICK) as made:
        made.release(V1, SCHEMA="1")
        made.release(V2, SCHEMA="2")
        yield made
        _checked(request, made)


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHost]:
    """On the embedded engine alone."""
    with engine_host(tmp_path / "host", "embedded", extra={"kind": "canonical"}, health=QUICK) as made:
        made.release(V1, SCHEMA="1")
        made.release(V2, SCHEMA="2")
        yield made
        _checked(request, made)


def _checked(request: pytest.FixtureRequest, made: EngineHost) -> None:
    """Ask the independent checker at the end, except where the test itself left a record damaged."""
    if request.node.get_closest_marker("damages") is None:
        made.observed.check()


@pytest.fixture
def warm(host: EngineHost) -> EngineHost:
    """With a canonical at the newer one."""
    assert host.program.test().promoted
    return host
