"""Data that a change must bring back, hold or leave alone."""

from pathlib import Path

from reconciler.ports.node import Holder
from tests.engine.live.scenes import crash_at, mount
from tests.fakes.world import Behaviour, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


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


def test_a_place_in_memory_is_told_once(host: Host) -> None:
    says = "services.app: what is written to /run (tmpfs) ends with its task"
    host.release(V2, tmpfs="/run:size=10m")
    [report] = host.reconcile()
    assert (str(report.outcome.result), report.outcome.evidence) == (f"upgraded:{V1}->{V2}", (says,))
    host.release(V3, tmpfs=["/run"], volumes=["data:/data", {"type": "tmpfs", "target": "/cache"}])
    [report] = host.reconcile()
    assert report.outcome.evidence == (says.replace("/run", "/cache"),)


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


def test_a_strangers_container_on_the_volume_is_a_hold_before_anything_stops(host: Host) -> None:
    stranger = Holder(id="x", state="running", owned=False, of_stack=False, name="backup")
    host.engine.strangers = (stranger,)
    host.release(V2, Behaviour(schema=2))
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V1}->{V2}"
    assert host.engine.changes == []
    dead = Holder(id="x", state="exited", owned=False, of_stack=False, name="backup")
    host.engine.strangers = (dead,)
    assert host.result() == f"upgraded:{V1}->{V2}"


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


def test_names_that_are_not_text_do_not_stop_a_snapshot(host: Host) -> None:
    data = Path(next(iter(host.engine.volumes.values())).path)
    Path(bytes(data).decode() + "/odd-\udcff").write_text("x")
    host.release(V2, Behaviour(schema=2, fails="after"))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (data / "odd-\udcff").read_text() == "x"
