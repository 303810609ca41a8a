"""The engine fails at every call, before and after the effect, once: unknown is waited for, nothing is lost."""

from pathlib import Path

import pytest

from reconciler.model.errors import ActError, ObserveError
from tests.crash.scenarios import ALL, GOOD_ENDS
from tests.fakes.world import Host

_AFTER = ("undeploy", "deploy", "pull", "protect_images", "remove_services")
_READS = ("look", "observe_stack", "holders", "observe_volumes", "observe_images", "observe_named")


class Fault:
    """Raises at the nth moment of a run, 0: at none; notes whether it did. `moments`: those that came."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0
        self.fired = ""
        self.moments: set[str] = set()

    def __call__(self, call: str, when: str) -> None:
        self.seen += 1
        self.moments.add(f"{call}:{when}")
        if self.seen == self.at:
            self.fired = f"{call}:{when}"
            if call in _READS:
                raise ObserveError(f"{call}: the engine does not answer")
            raise ActError(f"{call}: the engine did not confirm it", host_fault=True)


def run(host: Host, fault: Fault) -> None:
    host.engine.fault = fault
    host.reconcile()
    host.engine.fault = lambda *_: None


NAMES = ["good_upgrade", "failing_upgrade", "unhealthy_upgrade", "stateless_failure", "heal"]
PARTS = 4
"""Every fourth moment each: a fault at every one of them takes a minute where records are synced to a slow disk."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", NAMES)
def test_one_engine_fault_anywhere_costs_nothing(name: str, part: int, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    counting = Fault(0)
    run(ALL[name](tmp_path / "plain"), counting)
    assert {"look:before", "deploy:before", "deploy:after"} <= counting.moments
    assert counting.seen >= PARTS
    for at in range(1 + part, counting.seen + 1, PARTS):
        root = tmp_path / str(at)
        root.mkdir()
        host = ALL[name](root)
        fault = Fault(at)
        run(host, fault)
        assert fault.fired, f"moment {at} did not come"
        for result in host.until_quiet():
            assert result != "busy"
        where = f"fault at {at}: {fault.fired}"
        assert host.engine.violations == [], where
        assert (host.known(), host.engine.schema()) in GOOD_ENDS[name], where
        assert host.ports().store.journal(host.specs[0].app) is None, where
        memory = host.ports().store.memory(host.specs[0].app)
        if name == "good_upgrade":
            assert memory.quarantine == (), f"{where}: a host fault must never quarantine"
            assert host.known() == "1.0.1+5.0.1", where
        assert host.doctor() == [], where


def test_an_engine_that_stays_away_in_mid_change_keeps_the_journal(tmp_path: Path) -> None:
    host = ALL["good_upgrade"](tmp_path)

    def away_after_deploy(call: str, when: str) -> None:
        if (call, when) == ("deploy", "after") or host.engine.fault is gone:
            host.engine.fault = gone

    def gone(call: str, when: str) -> None:
        raise ObserveError("the engine does not answer")

    host.engine.fault = away_after_deploy
    assert host.result() == "unknown"
    assert host.ports().store.journal(host.specs[0].app) is not None
    assert host.result() == "unknown"
    host.engine.fault = lambda *_: None
    assert host.result() == "upgraded:1.0.0+5.0.0->1.0.1+5.0.1"
    assert host.engine.violations == []
    assert host.history()[-1].message.endswith("(resumed 1 times)")
