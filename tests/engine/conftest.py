"""What the engine tests start from."""

from pathlib import Path

import pytest

from tests.disks import disk
from tests.fakes.world import Host

__all__ = ["disk", "host"]

V1 = "1.0.0+5.0.0"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with one release, deployed."""
    found = Host(tmp_path)
    found.release(V1)
    assert found.result() == f"deployed:{V1}"
    return found
