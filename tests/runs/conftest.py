"""What tests of runs start from: a recipe that is enrolled, with two releases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import V1, V2, Lab, lab

QUICK = {"min_healthy": "100ms", "successes": 1}


@pytest.fixture(params=["embedded", pytest.param("swarm", marks=pytest.mark.swarm)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """On both engines; two releases, the newer one migrates its data."""
    if request.param == "swarm":
        request.getfixturevalue("swarm")
    with lab(tmp_path / "lab", request.param, extra={"kind": "canonical"}, health=QUICK) as made:
        made.release(V1, SCHEMA="1")
        made.release(V2, SCHEMA="2")
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lab]:
    """On the embedded engine alone."""
    with lab(tmp_path / "lab", "embedded", extra={"kind": "canonical"}, health=QUICK) as made:
        made.release(V1, SCHEMA="1")
        made.release(V2, SCHEMA="2")
        yield made


@pytest.fixture
def warm(host: Lab) -> Lab:
    """With a canonical at the newer one."""
    assert host.test().promoted
    return host
