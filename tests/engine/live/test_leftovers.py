"""What cannot be removed is told until it is gone, and nothing waits for it. On a real ext4."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import Disk
from tests.fakes.world import Behaviour, Host

V1, V2, V3, V4, V5 = (f"1.0.{n}+5.0.{n}" for n in range(5))


@pytest.fixture
def data(tmp_path: Path, disk: Disk) -> Iterator[tuple[Host, Path]]:
    """A host whose volumes lie on a disk that has inode flags, and where its volume lies."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "volumes").symlink_to(disk("24m"))
    host = Host(tmp_path / "host")
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    found = Path(next(iter(host.engine.volumes.values())).path)
    yield host, found
    for mounted in found.parent.glob(".ci-warm-*/mounted"):
        subprocess.run(["umount", "-l", mounted], check=True)


def leaves(host: Host, *commands: list[str]) -> None:
    """The next release does that to its data."""

    def fault(call: str, when: str) -> None:
        if (call, when) == ("deploy", "after"):
            host.engine.fault = lambda _call, _when: None
            for command in commands:
                subprocess.run(command, check=True)

    host.engine.fault = fault


def test_data_that_was_made_immutable_stops_neither_rollback_nor_upgrade(data: tuple[Host, Path]) -> None:
    host, volume = data
    for version in (V2, V3):
        host.release(version, Behaviour(schema=2, fails="after"))
        leaves(host, ["chattr", "+i", str(volume / "schema")], ["chattr", "+a", str(volume / "log"), str(volume)])
        assert host.result() == f"rolled-back:{version}->{V1}"
        assert host.engine.schema() == "1"
    host.release(V4)
    assert host.result() == f"upgraded:{V1}->{V4}"
    assert sorted(path.name for path in volume.parent.iterdir()) == [".ci-warm-data.json", "_data"]
    assert host.alerts() == [] and host.engine.violations == []


def test_what_cannot_be_removed_is_one_alert_until_it_is_gone(data: tuple[Host, Path]) -> None:
    host, volume = data
    host.release(V2, Behaviour(schema=2, fails="after"))
    leaves(host, ["mkdir", str(volume / "mounted")], ["mount", "-t", "tmpfs", "tmpfs", str(volume / "mounted")])
    assert host.result() == f"rolled-back:{V2}->{V1}"
    host.release(V3, Behaviour(schema=2, fails="after"))
    assert host.result() == f"rolled-back:{V3}->{V1}"
    host.release(V4)
    assert host.result() == f"upgraded:{V1}->{V4}"
    for _ in range(3):
        [alert] = host.alerts()
        assert alert.reason == "leftover" and "mounted" in alert.evidence[0] and "rm -rf" in alert.clears_when
        host.result()
    [left] = volume.parent.glob(".ci-warm-trash-*")
    assert str(left) in alert.clears_when
    subprocess.run(["umount", left / "mounted"], check=True)
    host.release(V5)
    assert host.result() == f"upgraded:{V4}->{V5}"
    assert host.alerts() == []
    assert sorted(path.name for path in volume.parent.iterdir()) == [".ci-warm-data.json", "_data"]


def test_what_a_human_removed_is_told_as_over_by_the_next_pass(data: tuple[Host, Path]) -> None:
    host, volume = data
    host.release(V2, Behaviour(schema=2, fails="after"))
    leaves(host, ["mkdir", str(volume / "mounted")], ["mount", "-t", "tmpfs", "tmpfs", str(volume / "mounted")])
    assert host.result() == f"rolled-back:{V2}->{V1}"
    host.release(V3)
    host.result()
    [left] = volume.parent.glob(".ci-warm-trash-*")
    assert [alert.reason for alert in host.alerts()] == ["leftover"]
    subprocess.run(["umount", left / "mounted"], check=True)
    subprocess.run(["rm", "-r", left], check=True)
    assert host.result() == "noop-healthy"
    assert host.alerts() == []
