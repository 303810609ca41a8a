"""An app that did not end within its grace and was killed before its snapshot."""

from pathlib import Path

import pytest

from tests.engine.live.scenes import crash_at
from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"
SAYS = "app did not end within the grace and was killed (137) before the snapshot"


@pytest.fixture
def killed(host: Host) -> Host:
    host.engine.kills = ("app",)
    return host


def test_it_is_told_in_result_history_and_snapshot(killed: Host) -> None:
    killed.release(V2)
    [report] = killed.reconcile()
    assert (str(report.outcome.result), SAYS in report.outcome.evidence) == (f"upgraded:{V1}->{V2}", True)
    assert killed.history()[-1].message == SAYS
    manifest = killed.ports().node.snapshots.observe(killed.specs[0].app)
    assert manifest is not None and manifest.killed == ("app",)


def test_a_way_back_tells_it_too(killed: Host) -> None:
    killed.release(V2, Behaviour(schema=2, fails="after"))
    assert killed.result() == f"rolled-back:{V2}->{V1}"
    assert SAYS in killed.alerts()[0].evidence


def test_where_a_clean_stop_is_required_the_release_waits_for_a_word(tmp_path: Path) -> None:
    host = Host(tmp_path, upgrade={"require_clean_stop": True})
    host.release(V1)
    host.result()
    host.engine.kills = ("app",)
    host.release(V2)
    assert host.result() == f"aborted:{V1}->{V2}"
    assert host.engine.schema() == "1"
    assert host.result() == f"held-quarantined:{V1}->{V2}", "it is not taken down again"
    [alert] = host.alerts()
    assert "app did not stop cleanly" in str(alert.evidence)
    assert "ci-warm retry notes" in alert.clears_when
    host.engine.kills = ()
    memory = host.ports().store.memory(host.specs[0].app)
    host.ports().store.put_memory(memory.model_copy(update={"quarantine": ()}))
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert host.alerts() == []


def test_an_end_that_nobody_saw_is_told_and_is_no_clean_one(tmp_path: Path) -> None:
    """We die in the grace, and what is found afterwards is an app that is gone."""
    host = Host(tmp_path, upgrade={"require_clean_stop": True})
    host.release(V1)
    host.result()
    host.release(V2)
    crash_at(host, "undeploy:after")
    assert host.result() == f"aborted:{V1}->{V2}"
    assert "how the app ended is not known" in str(host.history()[-1].message)
    assert host.result() == f"held-quarantined:{V1}->{V2}"


def test_an_end_that_nobody_saw_is_told_of_a_release_that_went_well(host: Host) -> None:
    host.release(V2)
    crash_at(host, "undeploy:after")
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert "how the app ended is not known" in host.history()[-1].message
