"""What the systemd tests start from."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import missing
from tests.engines import engine
from tests.systemd.apps import Notes
from tests.systemd.host import BOOKWORM, PROJECT, TRIXIE, SystemHost, cache, system_host


def _needs() -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("a systemd host needs root and mmdebstrap (apt-get install mmdebstrap)")
    if shutil.which("busybox") is None:
        missing("no static busybox (apt-get install busybox-static)")


@pytest.fixture(scope="session")
def machine(docker_host: str) -> Iterator[SystemHost]:
    """A booted Debian host with systemd and a Swarm."""
    _needs()
    assert docker_host
    with system_host() as made:
        yield made


@pytest.fixture(scope="module", params=["systemd 257", "Engine 28", "moby v2"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[SystemHost]:
    """The same host with the systemd of a newer Debian, or on an engine that is newer than the machine's."""
    _needs()
    if request.param == "systemd 257":
        request.getfixturevalue("docker_host")
        with system_host(TRIXIE) as made:
            yield made
        return
    version = engine.VERSION if request.param == "Engine 28" else "moby"
    with engine.running(version, [PROJECT, cache()]) as (on, folder), system_host(BOOKWORM, on, folder) as made:
        yield made


@pytest.fixture
def newer(elsewhere: SystemHost) -> Iterator[Notes]:
    """That host with the units installed, the daemon running, and the notes app at V1."""
    made = Notes(elsewhere)
    try:
        made.enrol()
        yield made
    finally:
        made.clear()


@pytest.fixture
def host(machine: SystemHost) -> Iterator[Notes]:
    """That host with the units installed, the daemon running, and the notes app at V1."""
    made = Notes(machine)
    try:
        made.enrol()
        yield made
    finally:
        made.clear()
