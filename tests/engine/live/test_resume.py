"""Changes that were interrupted."""

from reconciler.model.journal import Step
from reconciler.model.memory import Suspension
from reconciler.ports.node import Holder
from tests.engine.live.scenes import crash_at
from tests.fakes.world import Behaviour, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def test_a_failed_way_back_is_still_called_that_after_a_crash(host: Host) -> None:
    host.release(V2, Behaviour(schema=2, fails="after"))
    host.engine.on_undeploy = lambda: host.engine.images.update(
        {"registry.test/notes:5.0.0": Behaviour(fails="before")}
    )
    crash_at(host, "record:before")
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    assert host.history()[-1].result == f"rollback-failed:{V2}->{V1}"


def test_a_dead_container_that_came_late_stops_no_way_back(host: Host) -> None:
    """Of a task that was given up meanwhile, or left by an engine that was killed: it is ours."""
    host.release(V2, Behaviour(schema=2, fails="after"))
    crash_at(host, f"{Step.BACK_RESTORE}:before")
    host.engine.strangers = (Holder(id="late", state="exited", owned=False, of_stack=True, name="late"),)
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"
    assert host.engine.violations == []


def test_a_change_that_was_only_opened_is_gated_anew(host: Host) -> None:
    host.release(V2, Behaviour(schema=2))
    crash_at(host, "opened:journaled")
    store, app = host.ports().store, host.specs[0].app
    pause = Suspension(reason="stop", actor="ops", at=host.clock.now())
    store.put_memory(store.memory(app).model_copy(update={"suspension": pause}))
    host.engine.changes.clear()
    assert host.result() == f"aborted:{V1}->{V2}"
    assert host.result() == f"held-suspended:{V1}->{V2}"
    assert host.engine.changes == []
    assert host.alerts() == []


def test_a_journal_is_judged_by_the_settings_it_was_opened_with(host: Host) -> None:
    asked: list[str] = []
    host.release(V2, Behaviour(schema=2))
    crash_at(host, "verify:before")
    host.specs[0] = host.specs[0].model_copy(update={"domain": "new.example.test", "stack": "notes_example_test"})
    host.prober.on_probe = lambda probe: asked.append(probe.host)
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert set(asked) == {"notes.example.test"}


def test_a_stalled_app_stops_no_other(host: Host) -> None:
    other = host.specs[0].model_copy(update={"name": "other", "domain": "other.example.test"})
    host.release(V2, Behaviour(schema=2))
    crash_at(host, "settle:before")
    store, app = host.ports().store, host.specs[0].app
    journal = store.journal(app)
    assert journal is not None
    store.put_journal(journal.model_copy(update={"stalled": True}))
    host.specs.append(other)
    host.specs[1] = other.model_copy(update={"recipe": other.recipe.model_copy(update={"track": V1})})
    host.reconcile()
    host.specs[1] = other
    assert [str(report.outcome.result) for report in host.reconcile()] == [f"stalled:{V2}", f"upgraded:{V1}->{V2}"]


def test_a_service_that_the_engine_forgot_is_woken_and_the_upgrade_goes_on(host: Host) -> None:
    host.release(V2)
    host.engine.forgets = True
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert host.engine.changes.count("wake") == 1


def test_an_app_that_the_engine_forgot_after_a_crash_is_healed(host: Host) -> None:
    store = host.ports().store
    known = store.known_good(host.specs[0].app)
    assert known is not None
    host.engine.forget("app", store.bundle(host.specs[0].app, known.release.bundle))
    before = host.engine.schema()
    assert host.result() == f"healed:{V1}"
    assert host.engine.changes[-1] == "wake"
    assert host.engine.schema() == before
