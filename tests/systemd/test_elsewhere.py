"""The host again under a newer systemd, and on newer engines: it boots, the units are sound, it upgrades, it sweeps."""

import pytest

from tests.hosts.engine_host import V1, V2
from tests.systemd import judged
from tests.systemd.apps import Notes

pytestmark = [pytest.mark.swarm, pytest.mark.long, pytest.mark.timeout(900), pytest.mark.together("systemd")]


def test_the_units_hold_where_systemd_or_the_engine_is_newer(newer: Notes) -> None:
    machine = newer.machine
    assert machine.sh("systemctl --version | head -1").split()[1].startswith(machine.suite.systemd)
    judged.units(newer)
    newer.release(V2, SCHEMA="2")
    newer.until_known(V2)
    assert newer.history() == [f"deployed:{V1}", f"upgraded:{V1}->{V2}"]
    judged.sweep_with_credentials(newer)
    newer.doctor()
