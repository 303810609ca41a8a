"""A failed release that filled the disk is rolled back, and people hear what was given up for that. On a real ext4."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.engine.context import Context
from reconciler.engine.operate.rollback import rollback
from reconciler.model.action import Outcome
from reconciler.model.journal import Step
from tests.disks import Disk, fill
from tests.engine.live.scenes import crash_at
from tests.fakes.world import Behaviour, Crash, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def deployed(root: Path, **spec: object) -> Host:
    """A host whose app has 6 MiB of data."""
    host = Host(root, **spec)
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    (data(host) / "precious").write_bytes(os.urandom(6 << 20))
    return host


def roll_back(host: Host, confirm: Callable[[str], bool]) -> Outcome | None:
    """As an operator does."""
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0], actor="ops")
    return rollback(context, "it filled the disk", confirm)


def data(host: Host) -> Path:
    return Path(next(iter(host.engine.volumes.values())).path)


def fills(host: Host, after: str) -> None:
    """The release writes until the disk of its volume is full, as soon as that call has been made."""

    def fault(call: str, when: str) -> None:
        if (call, when) == (after, "after"):
            host.engine.fault = lambda _call, _when: None
            fill(data(host))

    host.engine.fault = fault


@pytest.fixture
def apart(tmp_path: Path, disk: Disk) -> Callable[..., Host]:
    """The volumes have a disk of their own."""

    def make(**spec: object) -> Host:
        root = tmp_path / "host"
        root.mkdir()
        (root / "volumes").symlink_to(disk("24m"))
        return deployed(root, **spec)

    return make


def test_a_failed_release_that_filled_the_disk_is_rolled_back(apart: Callable[..., Host]) -> None:
    host = apart()
    before = (data(host) / "precious").read_bytes()
    host.release(V2, Behaviour(schema=2, fails="after"))
    fills(host, "deploy")
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (data(host) / "precious").read_bytes() == before
    assert not (data(host) / "filled").exists()
    assert host.engine.schema() == "1" and host.engine.violations == []
    [alert] = host.alerts()
    assert alert.reason == "rollback"
    [told] = [text for text in alert.evidence if "given up" in text]
    assert "MiB are needed" in told and "MiB free" in told and str(data(host)) in told and "read back" in told
    host.release(V3, Behaviour(schema=3))
    assert host.result() == f"upgraded:{V1}->{V3}"


def test_a_release_in_its_bake_that_filled_the_disk_is_rolled_back(apart: Callable[..., Host]) -> None:
    host = apart(upgrade={"bake": "1d"})
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    fill(data(host))
    host.engine.images["registry.test/notes:5.0.1"].fails = "unhealthy"
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"


def test_an_operator_is_asked_before_newer_data_is_given_up(apart: Callable[..., Host]) -> None:
    host = apart()
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    fill(data(host))
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return False

    assert roll_back(host, ask) is None
    [question] = asked
    assert "no room to keep what was written since" in question and "MiB are needed" in question
    assert (data(host) / "filled").exists()
    done = roll_back(host, lambda _question: True)
    assert isinstance(done, Outcome) and any("given up" in text for text in done.evidence)
    assert host.engine.schema() == "1"


def test_where_giving_up_would_not_help_the_app_stays_down_and_the_alert_has_the_figures(
    apart: Callable[..., Host],
) -> None:
    host = apart()
    host.release(V2, Behaviour(schema=2, fails="after"))
    stranger = data(host).parent.parent / "stranger"
    stranger.mkdir()

    def fault(call: str, when: str) -> None:
        if (call, when) == ("deploy", "after"):
            host.engine.fault = lambda _call, _when: None
            (data(host) / "precious").unlink()
            fill(stranger)

    host.engine.fault = fault
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    [alert] = host.alerts()
    [told] = [text for text in alert.evidence if "no room to restore" in text]
    assert "MiB are needed" in told and "MiB free" in told and "free room there" in told
    for _ in range(8):
        assert host.result() == f"rollback-failed:{V2}->{V1}", "waiting for room is no crash loop"
    assert [alert.reason for alert in host.alerts()] == ["rollback-failed"]
    (stranger / "filled").unlink()
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (data(host) / "precious").stat().st_size == 6 << 20


def test_what_was_given_up_is_told_wherever_the_way_back_dies(tmp_path: Path, disk: Disk) -> None:
    """Every point of the way back, each on a disk that the release has filled anew."""
    volumes = disk("24m")

    def failing(name: str) -> Host:
        root = tmp_path / name
        root.mkdir()
        (root / "volumes").symlink_to(volumes)
        subprocess.run(["rm", "-rf", *volumes.glob("notes*")], check=True)
        host = deployed(root)
        host.release(V2, Behaviour(schema=2, fails="after"))
        fills(host, "deploy")
        return host

    plain = failing("plain")
    plain.result()
    first = plain.points.index("back-undeploy:before")
    assert "restore:given-up" in plain.points[first:]
    for point in range(first + 1, len(plain.points) + 1):
        host = failing(f"at-{point}")
        with pytest.raises(Crash):
            host.reconcile(crash_at=point)
        host.until_quiet()
        where = f"died at {plain.points[point - 1]}"
        [alert] = host.alerts()
        assert alert.reason == "rollback" and any("given up" in text for text in alert.evidence), where
        assert host.engine.schema() == "1" and host.engine.violations == [], where
        assert (data(host) / "precious").stat().st_size == 6 << 20, where


@pytest.mark.parametrize("after", ["deploy", "undeploy"])
def test_records_and_data_on_one_full_disk(disk: Disk, after: str) -> None:
    """Not a byte is left for the journal, the alert and the history; room for these was kept."""
    host = deployed(disk("48m"))
    host.release(V2, Behaviour(schema=2, fails="after"))
    fills(host, after)
    outcome = host.result()
    assert outcome in (f"rolled-back:{V2}->{V1}", f"aborted:{V1}->{V2}")
    host.until_quiet()
    assert host.engine.schema() == "1" and not host.engine.violations
    assert host.ports().store.journal(host.specs[0].app) is None
    assert host.history()[-1].result == outcome


def test_a_disk_that_is_full_for_our_records_is_told_and_told_over(disk: Disk) -> None:
    host = deployed(disk("48m"))
    reserve = host.root / "state" / ".reserve"
    assert len(list(reserve.iterdir())) == 8
    fill(host.root)
    for piece in list(reserve.iterdir())[:3]:
        piece.unlink()
    fill(host.root, "more")
    host.result()
    [alert] = [alert for alert in host.alerts() if alert.reason == "state-disk"]
    assert "MiB are needed" in alert.evidence[0] and "MiB free" in alert.evidence[0]
    (host.root / "filled").unlink()
    host.result()
    assert [alert for alert in host.alerts() if alert.reason == "state-disk"] == []
    assert len(list(reserve.iterdir())) == 8


def test_a_journal_can_be_written_while_somebody_eats_every_byte(disk: Disk) -> None:
    """The record takes blocks that were never freed."""
    host = deployed(disk("48m"))
    store, app = host.ports().store, host.specs[0].app
    host.release(V2, Behaviour(schema=2, fails="after"))
    crash_at(host, "deploy:before")
    journal = store.journal(app)
    assert journal is not None
    for step in (Step.BACK_UNDEPLOY, Step.BACK_QUIESCE, Step.BACK_RESTORE, Step.BACK_DEPLOY):
        fill(host.root, f"filled-{step}")
        store.put_journal(journal.model_copy(update={"step": step}))
        assert (found := store.journal(app)) is not None and found.step is step
