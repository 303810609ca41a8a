"""A live app that an operator took down stays down until resumed, and what is absent can be kept so."""

import pytest

from reconciler.engine.context import Context
from reconciler.engine.operate import explain, plan, snapshot, suspend, undeploy
from reconciler.model.errors import ActError, UsageError
from tests.engine.live.scenes import V1, V2, crash_at
from tests.fakes.world import Behaviour, Host


def context(host: Host) -> Context:
    return Context(ports=host.ports(), settings=host.settings, spec=host.specs[0], actor="ops")


def yes(_question: str) -> bool:
    return True


def test_an_app_that_was_taken_down_stays_down_and_says_who_and_why(host: Host) -> None:
    done = undeploy.undeploy(context(host), "a new disk", yes)
    assert done is not None and done.problem is None and done.version == V1
    assert host.engine.services == {} and host.engine.violations == []
    host.engine.changes.clear()
    host.release(V2, Behaviour(schema=2))
    for _ in range(3):
        [report] = host.reconcile()
        assert str(report.outcome.result) == f"held-suspended:{V1}" and report.outcome.ok
        host.clock.seconds += 4000
    assert host.engine.changes == [] and host.alerts() == []
    [hold] = report.status.holds
    assert "undeployed by ops" in hold["detail"] and "a new disk" in hold["detail"]
    assert hold["clears_when"] == "ci-warm resume notes"
    assert [one.detail for one in explain.explain(context(host), host.engine.look(), None).holds] == [hold["detail"]]
    assert [one.reason for one in plan.plan(context(host), host.engine.look(), None).holds] == ["suspended"]
    assert [line.result for line in host.history()] == [f"deployed:{V1}", f"undeployed:{V1}"]
    assert host.doctor() == []
    assert suspend.resume(context(host))
    assert host.result() == f"deployed:{V1}"
    assert host.result() == f"upgraded:{V1}->{V2}"


def test_its_data_can_be_kept_and_put_back_meanwhile(host: Host) -> None:
    undeploy.undeploy(context(host), "data", yes)
    host.engine.lingering = 0
    made = snapshot.create(context(host))
    [volume] = host.engine.volumes.values()
    (host.root / "volumes" / volume.name / "_data" / "schema").write_text("broken")
    assert host.result() == f"held-suspended:{V1}"
    restored = snapshot.restore(context(host), yes)
    assert restored is not None and restored.id == made.id
    assert host.engine.schema() == "1"
    suspend.resume(context(host))
    assert host.result() == f"deployed:{V1}"


def test_what_could_not_be_taken_down_whole_is_said_and_not_healed(host: Host) -> None:
    def fails(call: str, when: str) -> None:
        if call == "undeploy" and when == "after":
            raise ActError("the engine went away", host_fault=True)

    host.engine.fault = fails
    done = undeploy.undeploy(context(host), "data", yes)
    assert done is not None and "the engine went away" in str(done.problem)
    host.engine.fault = lambda *_: None
    assert host.result() == f"held-suspended:{V1}"
    again = undeploy.undeploy(context(host), "data", yes)
    assert again is not None and again.problem is None


def test_nothing_is_recorded_without_a_yes_or_beside_a_change(host: Host) -> None:
    assert undeploy.undeploy(context(host), "data", lambda _question: False) is None
    with pytest.raises(UsageError, match="needs a reason"):
        undeploy.undeploy(context(host), " ", yes)
    host.release(V2)
    crash_at(host, "snapshot:before")
    with pytest.raises(UsageError, match="a change under way"):
        undeploy.undeploy(context(host), "data", yes)
    assert host.ports().store.memory(host.specs[0].app).suspension is None


def test_a_suspension_does_not_bring_up_what_was_taken_down(host: Host) -> None:
    undeploy.undeploy(context(host), "data", yes)
    with pytest.raises(UsageError, match="was undeployed by ops"):
        suspend.suspend(context(host), "holidays", None)


@pytest.mark.parametrize("everything", [False, True])
def test_a_suspension_of_everything_also_holds_what_is_absent(host: Host, everything: bool) -> None:
    suspend.suspend(context(host), "holidays", None, everything=everything)
    assert host.result() == "noop-healthy"
    host.engine.services.clear()
    assert host.result() == (f"held-suspended:{V1}" if everything else f"deployed:{V1}")
    suspend.resume(context(host))
    assert host.result() == ("noop-healthy" if not everything else f"deployed:{V1}")
