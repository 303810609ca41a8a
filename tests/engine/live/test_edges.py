"""Edges where data or truth could slip: each was a bug once, found by review or by a crash."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.errors import ActError, ObserveError
from reconciler.model.memory import Suspension
from reconciler.model.observed import World
from reconciler.ports.node import Holder
from tests.fakes.world import Behaviour, Crash, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def crash_at(host: Host, point: str) -> None:
    """Die at the first effect point of that name."""
    probe = Host.__dict__["_effect"]

    def effect(name: str) -> None:
        probe(host, name)
        if name == point:
            raise Crash(name)

    host._effect = effect  # type: ignore[method-assign]
    with pytest.raises(Crash):
        host.reconcile()
    del host._effect


def mount(host: Host, tag: str, *volumes: str, **top: Any) -> None:
    """Rewrite a release's compose file to mount more."""
    files = host.recipes.releases[tag]
    doc = json.loads(files["compose.yml"])
    doc["services"]["app"]["volumes"] = list(volumes)
    doc["volumes"] = {volume.partition(":")[0]: top.get(volume.partition(":")[0], {}) for volume in volumes}
    files["compose.yml"] = json.dumps(doc).encode()


def test_a_volume_that_only_the_candidate_mounts_comes_back_too(host: Host) -> None:
    extra = Path(host.engine.create_volume(host.specs[0].stack_name, "notes_example_test_extra").path)
    (extra / "precious").write_text("years of work")
    host.release(V2, Behaviour(schema=2, fails="after"))
    mount(host, V2, "data:/data", "extra:/extra")
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (extra / "precious").read_text() == "years of work"
    assert not (extra / "schema").exists()
    host.release(V3)
    assert host.result() == f"upgraded:{V1}->{V3}"
    assert (extra / "precious").read_text() == "years of work"


def test_a_volume_that_the_candidate_made_is_empty_again_after_it_failed(host: Host) -> None:
    host.release(V2, Behaviour(schema=2, fails="after"))
    mount(host, V2, "data:/data", "cache:/cache")
    assert host.result() == f"rolled-back:{V2}->{V1}"
    made = Path(host.engine.volumes["notes_example_test_cache"].path)
    assert list(made.iterdir()) == []


def test_data_that_no_record_explains_is_held_whatever_its_volume_is_called(host: Host) -> None:
    named = {"data": {"name": "notes_example_test_old_name"}}
    for path in (host.root / "state" / "notes").iterdir():
        if path.is_file():
            path.unlink()
    host.engine.services.clear()
    host.engine.create_volume(host.specs[0].stack_name, "notes_example_test_old_name")
    mount(host, V1, "data:/data", **named)
    assert host.result() == f"held-prior-unhealthy:{V1}"


def test_an_approved_try_on_unexplained_data_is_backed_by_a_snapshot(host: Host) -> None:
    from reconciler.model.memory import Approval

    for path in (host.root / "state" / "notes").iterdir():
        if path.is_file():
            path.unlink()
    host.engine.services.clear()
    host.engine.images["registry.test/notes:5.0.0"] = Behaviour(schema=2, fails="after")
    host.result()
    store, app = host.ports().store, host.specs[0].app
    approval = Approval(version=V1, reason="I know this data", actor="ops", at=host.clock.now())
    store.put_memory(store.memory(app).model_copy(update={"approvals": (approval,)}))
    assert host.result() == f"deploy-failed:{V1}"
    assert host.engine.schema() == "1"


def test_only_a_look_taken_under_the_lock_is_acted_on(host: Host) -> None:
    stale = host.engine.look()
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.engine.changes.clear()
    looks = [World(at=stale.at, engine="fake", node_id="n1", stacks={}, volumes=stale.volumes)]
    real = host.engine.look
    host.engine.look = lambda: looks.pop() if looks else real()  # type: ignore[method-assign]
    assert host.result() == "noop-healthy"
    assert host.engine.changes == []


def test_turning_stateful_off_does_not_make_a_rollback_forget_the_data(tmp_path: Path) -> None:
    host = Host(tmp_path, upgrade={"bake": "1d"})
    host.release(V1)
    host.result()
    host.release(V2, Behaviour(schema=2))
    host.result()
    host.specs[0] = host.specs[0].model_copy(update={"stateful": False})
    host.engine.images["registry.test/notes:5.0.1"].fails = "unhealthy"
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"
    assert host.engine.violations == []


def test_a_failed_way_back_is_still_called_that_after_a_crash(host: Host) -> None:
    host.release(V2, Behaviour(schema=2, fails="after"))
    host.engine.on_undeploy = lambda: host.engine.images.update(
        {"registry.test/notes:5.0.0": Behaviour(fails="before")}
    )
    crash_at(host, "record:before")
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    assert host.history()[-1].result == f"rollback-failed:{V2}->{V1}"


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


def test_adopting_with_other_settings_leads_to_a_gated_reconfigure(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.release(V1, environment=["GREETING=${GREETING:-hello}"])
    host.result()
    (host.root / "state" / "notes" / "known_good.json").unlink()
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"adopted:{V1}"
    assert host.result() == f"reconfigured:{V1}"
    assert host.result() == "noop-healthy"


def test_what_runs_another_image_is_not_adopted(host: Host) -> None:
    (host.root / "state" / "notes" / "known_good.json").unlink()
    key = next(iter(host.engine.services))
    host.engine.services[key].spec = {
        **host.engine.services[key].spec,
        "image": "registry.test/notes:5.0.0@sha256:" + "e" * 64,
    }
    assert host.result() == f"unmanaged:{V1}"
    assert host.known() is None


def test_a_strangers_container_on_the_volume_is_a_hold_before_anything_stops(host: Host) -> None:
    stranger = Holder(id="x", state="running", owned=False, of_stack=False, name="backup")
    host.engine.holders = lambda *_: (stranger,)  # type: ignore[method-assign]
    host.release(V2, Behaviour(schema=2))
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V1}->{V2}"
    assert host.engine.changes == []
    dead = Holder(id="x", state="exited", owned=False, of_stack=False, name="backup")
    host.engine.holders = lambda *_: (dead,)  # type: ignore[method-assign]
    assert host.result() == f"upgraded:{V1}->{V2}"


def test_a_mended_spec_is_the_way_out_of_an_app_that_does_not_answer(host: Host) -> None:
    host.engine.images["registry.test/notes:5.0.0"].fails = "unhealthy"
    assert host.result() == f"unhealthy:{V1}"
    host.specs[0] = host.specs[0].model_copy(update={"env": {"FIXED": "1"}})
    host.engine.on_undeploy = lambda: host.engine.images.update({"registry.test/notes:5.0.0": Behaviour()})
    assert host.result() == f"reconfigured:{V1}"
    assert host.alerts() == []


def test_changed_settings_do_not_wait_behind_a_held_release(host: Host) -> None:
    host.release("2.0.0+6.0.0")
    assert host.result() == f"held-major:{V1}->2.0.0+6.0.0"
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"reconfigured:{V1}"
    assert host.result() == f"held-major:{V1}->2.0.0+6.0.0"


def test_a_journal_is_judged_by_the_settings_it_was_opened_with(host: Host) -> None:
    asked: list[str] = []
    answer = host.prober.probe

    def probe(probe: Any) -> Any:
        asked.append(probe.host)
        return answer(probe)

    host.release(V2, Behaviour(schema=2))
    crash_at(host, "verify:before")
    host.specs[0] = host.specs[0].model_copy(update={"domain": "new.example.test", "stack": "notes_example_test"})
    host.prober.probe = probe  # type: ignore[method-assign]
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert set(asked) == {"notes.example.test"}


def test_another_stack_name_is_held_before_anything_happens(host: Host) -> None:
    host.specs[0] = host.specs[0].model_copy(update={"domain": "new.example.test"})
    host.engine.changes.clear()
    assert host.result() == "held-stack-changed"
    assert host.engine.changes == []
    assert "set stack: notes_example_test" in str(host.alerts()[0].evidence)


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


def test_a_restore_that_fails_keeps_everything_down_and_tries_again(host: Host) -> None:
    host.release(V2, Behaviour(schema=2, fails="after"))
    tar = host.root / "state" / "notes" / "snapshot" / "volumes" / "notes_example_test_data.tar"
    crash_at(host, "back-restore:before")
    good = tar.read_bytes()
    tar.write_bytes(good[: len(good) // 2])
    host.engine.changes.clear()
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    assert "deploy" not in host.engine.changes, "nothing may start on the failed release's data"
    assert [alert.reason for alert in host.alerts()] == ["rollback-failed"]
    tar.write_bytes(good)
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"
    host.result()
    assert [alert.reason for alert in host.alerts()] == ["rollback"]


def test_a_manual_rollback_is_refused_while_its_snapshot_is_damaged(host: Host) -> None:
    from reconciler.engine.context import Context
    from reconciler.engine.live.reconcile import roll_back
    from reconciler.engine.release.facts import collect_facts

    host.release(V2, Behaviour(schema=2))
    host.result()
    tar = host.root / "state" / "notes" / "snapshot" / "volumes" / "notes_example_test_data.tar"
    tar.write_bytes(b"gone")
    host.engine.changes.clear()
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    facts = collect_facts(context, host.engine.look(), None)
    assert str(roll_back(context, facts, "why not").result) == f"rollback-refused:{V2}"
    assert host.engine.changes == []
    assert host.result() == "noop-healthy"


def test_an_error_in_one_app_leaves_the_others_and_the_status_alone(host: Host) -> None:
    other = host.specs[0].model_copy(update={"name": "other", "domain": "other.example.test"})
    host.specs.append(other)
    host.release(V2)
    calls: list[str] = []

    def once(call: str, when: str) -> None:
        if call == "protect_images" and when == "after" and not calls:
            calls.append(call)
            raise OSError(28, "No space left on device")

    host.engine.fault = once
    results = [str(report.outcome.result) for report in host.reconcile()]
    assert results[0] == "error"
    assert results[1].startswith("deployed:")
    assert (host.root / "state" / "status.json").exists()
    assert [alert.reason for alert in host.alerts()] == ["error"]


def test_names_that_are_not_text_do_not_stop_a_snapshot(host: Host) -> None:
    data = Path(next(iter(host.engine.volumes.values())).path)
    Path(bytes(data).decode() + "/odd-\udcff").write_text("x")
    host.release(V2, Behaviour(schema=2, fails="after"))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (data / "odd-\udcff").read_text() == "x"


def test_an_engine_error_while_pruning_orphans_is_no_failure(host: Host) -> None:
    host.specs[0] = host.specs[0].model_copy(update={"stateful": False})

    def fails(call: str, when: str) -> None:
        if call == "remove_services":
            raise ActError("500", host_fault=True)

    host.engine.fault = fails
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"


def test_unknown_while_gating_changes_nothing(host: Host) -> None:
    host.release(V2)

    def fails(call: str, when: str) -> None:
        if call == "observe_images":
            raise ObserveError("time-out")

    host.engine.fault = fails
    host.engine.changes.clear()
    assert host.result() == "unknown"
    assert host.engine.changes == []


def test_an_unhealthy_app_says_why_a_newer_release_is_not_taken(host: Host) -> None:
    from reconciler.engine.context import Context
    from reconciler.engine.live.plan import plan_app

    host.prober.broken = True
    host.release(V2)
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    seen = plan_app(context, host.engine.look())
    assert [hold.reason for hold in seen.plan.holds] == ["prior-unhealthy"]
    assert "approve" in seen.plan.holds[0].clears_when
    assert host.result() == f"unhealthy:{V1}"


def test_a_pin_to_a_version_that_is_not_there_is_told(host: Host) -> None:
    recipe = host.specs[0].recipe.model_copy(update={"track": "9.9.9+9"})
    host.specs[0] = host.specs[0].model_copy(update={"recipe": recipe})
    assert host.result() == "noop-healthy"
    assert ["9.9.9+9" in str(alert.evidence) for alert in host.alerts()] == [True]


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
