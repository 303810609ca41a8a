"""Releases that none of the recipe's signers signed: never deployed, whatever an operator approves."""

from pathlib import Path
from typing import Any

from reconciler.model.memory import Approval
from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"


def signed_host(tmp_path: Path, **changes: Any) -> Host:
    recipe = {"url": "https://git.test/notes.git", "signers": "/etc/ci-warm/signers"}
    host = Host(tmp_path, recipe=recipe, **changes)
    host.release(V1)
    return host


def test_a_first_release_and_a_newer_one_are_held_and_nothing_is_touched(tmp_path: Path) -> None:
    host = signed_host(tmp_path)
    host.recipes.unsigned = {V1}
    assert host.result() == f"held-unsigned:{V1}"
    host.recipes.unsigned = set()
    assert host.result() == f"deployed:{V1}"
    host.release(V2)
    host.recipes.unsigned = {V2}
    host.engine.changes.clear()
    assert host.result() == f"held-unsigned:{V1}->{V2}"
    assert host.engine.changes == []
    [alert] = host.alerts()
    assert alert.evidence == (f"unsigned: {V2}: it is not signed",)


def test_an_approval_does_not_open_it(tmp_path: Path) -> None:
    host = signed_host(tmp_path)
    host.recipes.unsigned = {V1}
    host.result()
    store, app = host.ports().store, host.specs[0].app
    approval = Approval(version=V1, reason="trust me", actor="ops", at=host.clock.now())
    store.put_memory(store.memory(app).model_copy(update={"approvals": (approval,)}))
    assert host.result() == f"held-unsigned:{V1}"


def test_a_key_that_was_revoked_since_closes_the_ordered_way_back(tmp_path: Path) -> None:
    host = signed_host(tmp_path, upgrade={"bake": "1d"})
    host.result()
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.recipes.unsigned = {V1}
    host.prober.broken = True
    host.clock.seconds += 3600
    [report] = host.reconcile()
    assert str(report.outcome.result) == f"rollback-refused:{V2}"
    assert report.outcome.evidence[0] == f"unsigned: {V1}: it is not signed"
    assert host.engine.schema() == "2"


def test_a_change_under_way_still_goes_back(tmp_path: Path) -> None:
    """The data is half way: who signed what ran until a minute ago is no question now."""
    host = signed_host(tmp_path)
    host.result()
    host.release(V2, Behaviour(schema=2, fails="after"))
    host.on_effect = lambda name: host.recipes.unsigned.add(V1) if name == "deploy:before" else None
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"


def test_new_settings_need_no_new_signature(tmp_path: Path) -> None:
    host = signed_host(tmp_path)
    host.result()
    host.recipes.unsigned = {V1}
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"reconfigured:{V1}"
