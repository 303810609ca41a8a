"""The version of the data is a fact of its own: no older release is ever started on newer data."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.context import Context
from reconciler.engine.operate import rollback as operate_rollback
from reconciler.model.errors import ActError
from reconciler.model.memory import Approval
from tests.engine.conftest import V1
from tests.fakes.world import Behaviour, Host

V2, V3 = "1.0.1+5.0.1", "1.0.2+5.0.2"


def upgraded(root: Path, **changes: Any) -> Host:
    """V2 runs on data that it has migrated; a copy of the state root is from when V1 ran."""
    host = Host(root, **changes)
    host.release(V1)
    host.result()
    shutil.copytree(root / "state", root / "yesterday", symlinks=True)
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert host.engine.schema() == "2"
    return host


def put_back_yesterday(host: Host) -> None:
    shutil.rmtree(host.root / "state")
    (host.root / "yesterday").rename(host.root / "state")


def assert_untouched(host: Host) -> None:
    assert host.engine.violations == []
    assert host.engine.schema() == "2"


def test_a_state_folder_of_yesterday_adopts_what_runs_and_heals_nothing(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    put_back_yesterday(host)
    host.engine.changes.clear()
    assert host.result() == f"adopted:{V2}"
    assert host.engine.changes == ["protect_images"] or not host.engine.changes
    assert host.known() == V2
    assert host.result() == "noop-healthy"
    assert_untouched(host)


def test_a_state_folder_of_yesterday_and_nothing_that_runs_is_a_hold(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    put_back_yesterday(host)
    host.engine.services.clear()
    host.engine.changes.clear()
    for _ in range(3):
        assert host.result() == f"held-data-newer:{V1}"
    assert host.engine.changes == []
    [alert] = host.alerts()
    assert f"notes_example_test_data by {V2}" in alert.evidence[0]
    assert f"{V1} is not started on it" in alert.evidence[0]
    assert "newer" in alert.clears_when
    assert_untouched(host)


def test_drift_beside_newer_data_is_a_hold(tmp_path: Path) -> None:
    """What runs says nothing of its version; the stamps do."""
    host = upgraded(tmp_path)
    put_back_yesterday(host)
    for running in host.engine.services.values():
        running.spec = {**running.spec, "labels": {}, "deploy": {"labels": {}}}
    host.engine.changes.clear()
    assert host.result() == f"held-data-newer:{V1}"
    assert host.engine.changes == []
    assert_untouched(host)


def test_what_runs_and_is_no_release_is_an_alert(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    put_back_yesterday(host)
    for running in host.engine.services.values():
        running.spec = {**running.spec, "image": "registry.test/notes:hand-made"}
    host.engine.changes.clear()
    assert host.result() == f"unmanaged:{V2}"
    assert host.engine.changes == []
    assert [alert.reason for alert in host.alerts()] == ["unmanaged"]
    assert_untouched(host)


def test_an_old_copy_of_a_volume_does_not_hide_what_the_records_know(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    for stamp in (tmp_path / "volumes").rglob(".ci-warm-data.json"):
        stamp.unlink()
    known = tmp_path / "state" / "notes" / "known_good.json"
    record = json.loads(known.read_text())
    known.write_text(json.dumps({**record, "release": record["fallback"]["release"], "fallback": None}))
    host.engine.services.clear()
    assert host.result() == f"held-data-newer:{V1}"
    assert_untouched(host)


def pin(host: Host, version: str) -> None:
    host.specs[0] = host.specs[0].model_copy(
        update={"recipe": host.specs[0].recipe.model_copy(update={"track": version})}
    )


def approve(host: Host, version: str) -> None:
    store = host.ports().store
    memory = store.memory(host.specs[0].app)
    word = Approval(version=version, reason="we know", actor="test", at=host.clock.now())
    store.put_memory(memory.model_copy(update={"approvals": (word,)}))


def test_a_pin_to_an_older_release_says_so_and_goes_back_with_its_data_when_approved(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    pin(host, V1)
    host.engine.changes.clear()
    assert host.result() == f"held-data-newer:{V2}->{V1}"
    assert host.engine.changes == []
    [alert] = host.alerts()
    assert "a downgrade" in alert.evidence[0]
    assert f"ci-warm approve notes {V1}" in alert.clears_when
    approve(host, V1)
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert (host.engine.schema(), host.known()) == ("1", V1)
    assert host.result() == "noop-healthy"
    assert host.engine.violations == []


def test_a_pin_further_back_than_the_snapshot_holds_whoever_approves_it(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    host.release(V3, Behaviour(schema=3))
    assert host.result() == f"upgraded:{V2}->{V3}"
    pin(host, V1)
    approve(host, V1)
    assert host.result() == f"held-data-newer:{V3}->{V1}"
    assert host.engine.schema() == "3"


def test_an_app_that_was_stateful_is_never_rolled_back_without_its_data(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    host.specs[0] = host.specs[0].model_copy(update={"stateful": False})
    host.release(V3, Behaviour(schema=3))
    host.result()
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0], actor="test")
    if host.known() == V3:
        with pytest.raises(ActError, match="newer release"):
            operate_rollback.rollback(context, "by hand", lambda _question: True)
    assert host.engine.violations == []


def test_a_torn_stamp_is_a_hold_that_names_it(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    [stamp] = (tmp_path / "volumes").rglob(".ci-warm-data.json")
    stamp.write_text('{"schema_version": 1, "app"')
    host.engine.changes.clear()
    assert host.result() == "held-state"
    assert host.engine.changes == []
    assert any(str(stamp) in text for alert in host.alerts() for text in alert.evidence)


def test_data_that_went_back_is_stamped_so(tmp_path: Path) -> None:
    host = upgraded(tmp_path)
    host.release(V3, Behaviour(schema=3, fails="after"))
    assert host.result() == f"rolled-back:{V3}->{V2}"
    [stamp] = (tmp_path / "volumes").rglob(".ci-warm-data.json")
    assert json.loads(stamp.read_text())["version"] == V2
    host.engine.services.clear()
    assert host.result() == f"deployed:{V2}"
    assert_untouched(host)


def test_a_way_back_without_data_that_fails_goes_forward_again(tmp_path: Path) -> None:
    """The release before does not come up any more; the one that was left was good."""
    host = Host(tmp_path, stateful=False)
    old = host.release(V1)
    host.result()
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.engine.images[old].fails = "unhealthy"
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0], actor="test")
    outcome = operate_rollback.rollback(context, "by hand", lambda _question: True)
    assert outcome is not None
    assert str(outcome.result) == f"rollback-failed:{V2}->{V1}"
    assert host.known() == V2
    assert host.result() == f"healed:{V2}"
    assert host.result() == "noop-healthy"
    assert host.alerts() == []


def test_volumes_that_the_engine_made_in_the_first_deploy_are_stamped_too(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    [stamp] = (tmp_path / "volumes").rglob(".ci-warm-data.json")
    assert json.loads(stamp.read_text())["version"] == V1
