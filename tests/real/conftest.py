"""What the tests on a real Swarm start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, EngineHost, engine_host


@pytest.fixture
def host(swarm: str, tmp_path: Path) -> Iterator[EngineHost]:
    """A host with V1 of the notes app; in the end the doctor finds nothing wrong on it."""
    with engine_host(tmp_path / "host", "swarm") as made:
        made.set(docker_host=swarm)
        made.release(V1)
        made.deploy_first()
        yield made
        made.observed.check()
