"""Every result line of the design's table, on a fake host with real records, snapshots and volumes."""

from pathlib import Path

import pytest

from reconciler.model.errors import ObserveError
from reconciler.model.probe import Probe
from tests.builders import spec
from tests.fakes.world import Behaviour, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def calm(host: Host) -> None:
    """What must hold after every test."""
    assert host.engine.violations == []
    assert host.doctor() == []


def test_a_converged_pass_changes_nothing_and_writes_only_status(host: Host) -> None:
    assert host.result() == "noop-healthy"
    before = {p: p.stat().st_mtime_ns for p in (host.root / "state").rglob("*") if p.is_file()}
    host.engine.changes.clear()
    assert host.result() == "noop-healthy"
    after = {p: p.stat().st_mtime_ns for p in (host.root / "state").rglob("*") if p.is_file()}
    assert host.engine.changes == []
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {"status.json", "notes.lock"}
    calm(host)


def test_upgrades_and_keeps_the_prior_as_fallback(host: Host) -> None:
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert (host.known(), host.engine.schema()) == (V2, "2")
    good = host.ports().store.known_good(host.specs[0].app)
    assert good is not None and good.fallback is not None and good.fallback.release.version == V1
    assert host.alerts() == []
    assert host.result() == "noop-healthy"
    published = host.ports().store.status()
    assert published is not None and published.by == f"reconcile on {host.engine.look().node_id}"
    [app] = published.apps
    assert (app.known_good_at, app.snapshot and app.snapshot.version) == (good.at, V1)
    assert app.snapshot is not None and app.snapshot.bytes > 0
    calm(host)


@pytest.mark.parametrize("fails", ["before", "after", "unhealthy"])
def test_rolls_version_and_data_back_together(host: Host, fails: str) -> None:
    data = Path(next(iter(host.engine.volumes.values())).path)
    before = (data / "log").read_text()
    host.release(V2, Behaviour(schema=2, fails=fails))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (host.known(), host.engine.schema()) == (V1, "1")
    assert (data / "log").read_text() == before + "started with schema 1\n"
    [alert] = host.alerts()
    assert (alert.reason, alert.attempted, alert.last_good, alert.recovered) == ("rollback", V2, V1, True)
    calm(host)


def test_one_attempt_and_one_alert_for_a_hundred_passes(host: Host) -> None:
    host.release(V2, Behaviour(fails="after"))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    host.engine.changes.clear()
    results = {host.result() for _ in range(100)}
    assert results == {f"held-quarantined:{V1}->{V2}"}
    assert host.engine.changes == []
    assert len(host.alerts()) == 1
    assert [line.result for line in host.history()] == [f"deployed:{V1}", f"rolled-back:{V2}->{V1}"]
    host.release(V3)
    assert host.result() == f"upgraded:{V1}->{V3}"
    assert host.alerts() == []
    calm(host)


def test_says_so_when_the_prior_does_not_come_back_either(host: Host) -> None:
    host.release(V2, Behaviour(fails="after"))
    host.engine.images["registry.test/notes:5.0.0"].fails = "always"
    # It still runs, so the gate finds it healthy; only its next start fails.
    host.prober.any_task_is_fine = True
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    assert host.engine.schema() == "1"
    assert [alert.reason for alert in host.alerts()] == ["rollback-failed"]
    assert host.known() == V1
    assert host.engine.violations == []


def test_heals_drift_and_brings_the_absent_back(host: Host) -> None:
    key = next(iter(host.engine.services))
    host.engine.services[key].spec = {**host.engine.services[key].spec, "environment": {"X": "1"}}
    assert host.result() == f"healed:{V1}"
    host.engine.services.clear()
    assert host.result() == f"deployed:{V1}"
    assert host.result() == "noop-healthy"
    calm(host)


def test_an_unhealthy_app_is_an_alert_and_never_a_data_rollback(host: Host) -> None:
    host.prober.broken = True
    host.engine.changes.clear()
    assert host.result() == f"unhealthy:{V1}"
    assert host.result() == f"unhealthy:{V1}"
    assert host.engine.changes == []
    assert [alert.reason for alert in host.alerts()] == ["unhealthy"]
    host.prober.broken = False
    assert host.result() == "noop-healthy"
    assert host.alerts() == []
    calm(host)


def test_within_the_bake_watch_unhealthy_still_rolls_back(tmp_path: Path) -> None:
    host = Host(tmp_path, upgrade={"bake": "10m"})
    host.release(V1)
    host.result()
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.engine.images["registry.test/notes:5.0.1"].fails = "unhealthy"
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (host.engine.schema(), host.known()) == ("1", V1)
    assert host.result() == f"held-quarantined:{V1}->{V2}"
    calm(host)


def test_after_the_bake_watch_newer_data_is_not_thrown_away(tmp_path: Path) -> None:
    host = Host(tmp_path, upgrade={"bake": "1m"})
    host.release(V1)
    host.result()
    host.release(V2, Behaviour(schema=2))
    host.result()
    host.clock.seconds += 61
    host.prober.broken = True
    assert host.result() == f"unhealthy:{V2}"
    assert host.engine.schema() == "2"


@pytest.mark.parametrize(
    ("tag", "notes", "reason"),
    [
        ("2.0.0+5.0.1", "", "major"),
        ("1.0.1+6.0.0", "", "major"),
        (V2, "Manual migration!", "manual-migration"),
        ("1.0.1+next", "", "app-version-unclear"),
    ],
)
def test_a_hold_touches_nothing_and_alerts_once_with_the_notes(host: Host, tag: str, notes: str, reason: str) -> None:
    host.release(tag, notes=notes)
    data = Path(next(iter(host.engine.volumes.values())).path)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in data.iterdir()}
    host.engine.changes.clear()
    for _ in range(3):
        assert host.result() == f"held-{reason}:{V1}->{tag}"
    assert host.engine.changes == []
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in data.iterdir()} == before
    [alert] = host.alerts()
    assert alert.reason == f"held-{reason}"
    assert notes in str(alert.notes)
    assert alert.clears_when
    calm(host)


def test_unknown_is_never_absent(host: Host) -> None:
    def away(call: str, when: str) -> None:
        raise ObserveError("the engine does not answer")

    host.engine.fault = away
    host.engine.changes.clear()
    assert host.result() == "unknown"
    assert host.engine.changes == []
    assert [alert.reason for alert in host.alerts()] == ["engine-unknown"]
    host.engine.fault = lambda *_: None
    assert host.result() == "noop-healthy"
    assert host.alerts() == []


def test_a_fetch_that_fails_is_reported_and_the_app_is_kept(host: Host) -> None:
    host.recipes.offline = True
    assert host.result() == f"recipe:{V1}"
    assert [alert.reason for alert in host.alerts()] == ["recipe"]
    host.recipes.offline = False
    host.result()
    assert host.alerts() == []


def test_a_vanished_tag_downgrades_nothing(host: Host) -> None:
    host.release(V2)
    host.result()
    del host.recipes.releases[V2]
    assert host.result() == "noop-healthy"
    assert host.known() == V2


def test_a_moved_tag_is_held(host: Host) -> None:
    host.release(V2, notes="breaking change")
    host.result()
    host.recipes.moved[V2] = "f" * 40
    assert host.result().startswith(f"held-tag-moved:{V1}->")


def test_changed_settings_go_through_the_whole_transaction(host: Host) -> None:
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"reconfigured:{V1}"
    assert host.result() == "noop-healthy"
    calm(host)


def test_a_lost_state_adopts_what_runs_or_holds_what_it_cannot_explain(host: Host) -> None:
    for path in (host.root / "state" / "notes").iterdir():
        if path.is_file():
            path.unlink()
    assert host.result() == f"adopted:{V1}"
    assert host.result() == "noop-healthy"
    for path in (host.root / "state" / "notes").iterdir():
        if path.is_file():
            path.unlink()
    host.engine.services.clear()
    assert host.result() == f"held-prior-unhealthy:{V1}"


def test_an_unreadable_record_holds_the_app_and_is_copied_aside(host: Host) -> None:
    record = host.root / "state" / "notes" / "known_good.json"
    record.write_text(record.read_text()[:40])
    host.engine.changes.clear()
    assert host.result() == "held-state"
    assert host.engine.changes == []
    assert list(record.parent.glob("known_good.json.unreadable-*"))
    assert [alert.reason for alert in host.alerts()] == ["state"]


def test_one_apps_fault_never_blocks_another(host: Host) -> None:
    other = host.specs[0].model_copy(update={"name": "other", "domain": "other.example.test"})
    host.specs.append(other)
    (host.root / "state" / "notes" / "known_good.json").write_text("{")
    assert [str(report.outcome.result) for report in host.reconcile()] == ["held-state", f"deployed:{V1}"]


def test_a_rollback_stops_the_train(host: Host) -> None:
    other = host.specs[0].model_copy(update={"name": "other", "domain": "other.example.test", "after": ("notes",)})
    host.specs.append(other)
    host.reconcile()
    host.release(V2, Behaviour(fails="before"))
    results = [str(report.outcome.result) for report in host.reconcile()]
    assert results == [f"rolled-back:{V2}->{V1}", f"held-train-stopped:{V1}->{V2}"]


def test_a_dropped_volume_is_held(host: Host) -> None:
    host.release(V2)
    import json

    files = host.recipes.releases[V2]
    doc = json.loads(files["compose.yml"])
    doc["services"]["app"]["volumes"] = ["renamed:/data"]
    doc["volumes"] = {"renamed": {}}
    files["compose.yml"] = json.dumps(doc).encode()
    assert host.result() == f"held-volumes-changed:{V1}->{V2}"
    calm(host)


def test_missing_images_refuse_before_anything_is_stopped(host: Host) -> None:
    image = host.release(V2)
    del host.engine.images[image]
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V1}->{V2}"
    assert host.engine.changes == []


def test_a_rollback_needs_no_registry(host: Host) -> None:
    host.release(V2, Behaviour(fails="after"))

    def gone(call: str, when: str) -> None:
        if call == "undeploy":
            host.registry.offline = True
            host.engine.images = {k: v for k, v in host.engine.images.items() if k in running}
        assert call != "pull" or not host.registry.offline

    running = set(host.engine.images)
    host.engine.fault = gone
    assert host.result() == f"rolled-back:{V2}->{V1}"


def test_apps_are_asked_side_by_side(host: Host) -> None:
    """Each probe waits until the other one has begun: one after the other would never end."""
    import threading

    host.specs.append(spec(name="other", domain="other.example.test"))
    assert str(host.reconcile()[1].outcome.result).startswith("deployed:")
    both = threading.Barrier(2, timeout=20)

    def meet(_: Probe) -> None:
        both.wait()

    host.prober.on_probe = meet
    assert [str(report.outcome.result) for report in host.reconcile()] == ["noop-healthy", "noop-healthy"]


def test_two_processes_do_not_upgrade_at_the_same_time(host: Host) -> None:
    host.release("1.0.1+5.0.1")
    other = host.ports().locks.turn("upgrade", "another process")
    before = list(host.engine.changes)
    [report] = host.reconcile()
    assert str(report.outcome.result) == "busy" and "upgrade.lock" in report.outcome.evidence[0]
    assert host.engine.changes == before
    other.release()
    assert host.result().startswith("upgraded:")


def test_a_failed_release_leaves_its_last_words_where_alert_and_history_say(tmp_path: Path) -> None:
    host = Host(tmp_path, env={"DB_PASSWORD": "hunter2-hunter2"})
    host.release(V1)
    host.result()
    host.engine.words["app"] = "starting\nno schema 7 with hunter2-hunter2"
    host.release(V2, Behaviour(schema=2, fails="after"))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    [alert] = host.alerts()
    assert "app said last: no schema 7 with ***" in alert.evidence
    log = next(line.log for line in host.history() if line.result.startswith("rolled-back"))
    kept = tmp_path / "state" / log
    assert "starting\nno schema 7 with ***" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
