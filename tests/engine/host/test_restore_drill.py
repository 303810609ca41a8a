"""Restore drills: on real archives, in scratch folders that are gone afterwards."""

from datetime import timedelta

from reconciler.engine.context import Context
from reconciler.engine.host import restore_drill
from tests.builders import spec
from tests.fakes.world import Host

V2 = "1.0.1+5.0.1"


def upgraded(host: Host) -> Context:
    host.release(V2)
    assert host.result().startswith("upgraded:")
    return Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])


def test_a_snapshot_that_restores_is_on_record_and_leaves_nothing(host: Host) -> None:
    context = upgraded(host)
    before = list(host.engine.changes)
    done = restore_drill.drill(context)
    assert done is not None and done.problems == ()
    assert context.ports.store.drill(context.app) == done
    assert not (host.root / "state" / "notes" / ".drill").exists()
    assert host.engine.changes == before and host.doctor() == []


def test_a_snapshot_that_would_not_restore_is_an_alert(host: Host) -> None:
    context = upgraded(host)
    [archive] = (host.root / "state" / "notes" / "snapshot" / "volumes").glob("*.tar")
    whole = archive.read_bytes()
    at = whole.index(b"started with schema")
    archive.write_bytes(whole[:at] + b"STARTED" + whole[at + 7 :])
    done = restore_drill.drill(context)
    assert done is not None and done.problems
    assert host.result() == "noop-healthy"
    assert [alert.reason for alert in host.alerts()] == ["drill"], "a pass over the app does not clear it"
    archive.write_bytes(whole)
    assert restore_drill.drill(context) is not None
    assert host.alerts() == []


def test_the_one_that_waits_longest_is_next(host: Host) -> None:
    context = upgraded(host)
    host.specs.append(spec(name="none", domain="none.test"))
    due = restore_drill.due(context.ports, host.settings, host.specs)
    assert due is not None and due.name == "notes"
    assert restore_drill.drill_one_due(context.ports, host.settings, host.specs) is not None
    assert restore_drill.due(context.ports, host.settings, host.specs) is None
    host.clock.seconds += timedelta(days=8).total_seconds()
    held = context.ports.locks.acquire(context.app, "a test")
    assert restore_drill.drill_one_due(context.ports, host.settings, host.specs) is None
    held.release()
    assert restore_drill.drill_one_due(context.ports, host.settings, host.specs) is not None
    never = host.settings.model_copy(update={"drill_every": 0.0})
    host.clock.seconds += timedelta(days=80).total_seconds()
    assert restore_drill.drill_one_due(context.ports, never, host.specs) is None
