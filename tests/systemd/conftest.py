"""What the systemd tests start from."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import missing
from tests.systemd.apps import Notes
from tests.systemd.host import SystemHost, system_host


@pytest.fixture(scope="session")
def machine(docker_host: str) -> Iterator[SystemHost]:
    """A booted Debian host with systemd and a Swarm."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("a systemd host needs root and mmdebstrap (apt-get install mmdebstrap)")
    if shutil.which("busybox") is None:
        missing("no static busybox (apt-get install busybox-static)")
    assert docker_host
    with system_host() as made:
        yield made


@pytest.fixture
def host(machine: SystemHost) -> Iterator[Notes]:
    """That host with the units installed, the daemon running, and the notes app at V1."""
    made = Notes(machine)
    try:
        made.enrol()
        yield made
    finally:
        made.clear()
