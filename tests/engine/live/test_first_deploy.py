"""A first deploy that fails, and what comes after it."""

from pathlib import Path

import pytest

from reconciler.model.memory import Approval
from tests.fakes.world import Behaviour, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def failed(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.release(V1, Behaviour(fails="after"))
    assert host.result() == f"deploy-failed:{V1}"
    assert host.engine.volumes, "its data is still there"
    return host


def test_the_mended_release_needs_no_human(tmp_path: Path) -> None:
    host = failed(tmp_path)
    assert host.result() == f"held-quarantined:{V1}"
    host.release(V2)
    assert host.result() == f"deployed:{V2}"
    assert host.alerts() == []


def test_one_after_the_other_may_fail(tmp_path: Path) -> None:
    host = failed(tmp_path)
    host.release(V2, Behaviour(fails="after"))
    assert host.result() == f"deploy-failed:{V2}"
    host.release(V3)
    assert host.result() == f"deployed:{V3}"


def test_the_same_release_is_tried_again_when_the_operator_says_so(tmp_path: Path) -> None:
    host = failed(tmp_path)
    host.engine.images["registry.test/notes:5.0.0"] = Behaviour()
    memory = host.ports().store.memory(host.specs[0].app)
    host.ports().store.put_memory(memory.model_copy(update={"quarantine": ()}))
    assert host.result() == f"deployed:{V1}"


@pytest.mark.parametrize("lost", ["history.jsonl", "notes/data.json"])
def test_data_that_no_record_explains_is_held_as_before(tmp_path: Path, lost: str) -> None:
    """Without the history nothing says that the release which wrote it never was well."""
    host = failed(tmp_path)
    (host.root / "state" / lost).unlink()
    for stamp in host.root.rglob(".ci-warm-data.json"):
        stamp.unlink()
    host.release(V2)
    assert host.result() == f"held-prior-unhealthy:{V2}"


def test_data_that_an_approved_deploy_found_stays_a_question(tmp_path: Path) -> None:
    """It was there before us and came back from its snapshot: that the release failed says nothing of the data."""
    host = failed(tmp_path)
    (host.root / "state" / "history.jsonl").unlink()
    host.release(V2, Behaviour(fails="after"))
    assert host.result() == f"held-prior-unhealthy:{V2}"
    store, app = host.ports().store, host.specs[0].app
    approval = Approval(version=V2, reason="I know this data", actor="ops", at=host.clock.now())
    store.put_memory(store.memory(app).model_copy(update={"approvals": (approval,)}))
    assert host.result() == f"deploy-failed:{V2}"
    host.release(V3)
    assert host.result() == f"held-prior-unhealthy:{V3}"


def test_what_was_put_there_by_hand_since_gets_its_snapshot(tmp_path: Path) -> None:
    """A backup that the operator restored into the volume after the failure: nobody can tell, so it is kept."""
    host = failed(tmp_path)
    (Path(next(iter(host.engine.volumes.values())).path) / "restored").write_text("years of work")
    host.release(V2, Behaviour(schema=2, fails="after"))
    assert host.result() == f"deploy-failed:{V2}"
    assert "snapshot" in host.history()[-1].phases
    assert host.engine.schema() == "1"


def test_volumes_of_a_stateless_first_deploy_are_a_question(tmp_path: Path) -> None:
    """Nobody looked whether they were there before."""
    host = Host(tmp_path, stateful=False)
    host.release(V1, Behaviour(fails="after"))
    assert host.result() == f"deploy-failed:{V1}"
    host.specs[0] = host.specs[0].model_copy(update={"stateful": True})
    host.release(V2)
    assert host.result() == f"held-prior-unhealthy:{V2}"


def test_data_that_was_good_since_is_a_question(tmp_path: Path) -> None:
    """The same release failed once, and then served for a year: its stamp still names the failed try."""
    host = failed(tmp_path)
    host.engine.images["registry.test/notes:5.0.0"] = Behaviour()
    store, app = host.ports().store, host.specs[0].app
    store.put_memory(store.memory(app).model_copy(update={"quarantine": ()}))
    assert host.result() == f"deployed:{V1}"
    (host.root / "state" / "notes" / "known_good.json").unlink()
    host.engine.services.clear()
    host.release(V2)
    assert host.result() == f"held-prior-unhealthy:{V2}"
