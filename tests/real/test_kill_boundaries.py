"""SIGKILL on the real Swarm at every named boundary of a passing and of a failing upgrade, at least once each."""

from pathlib import Path

import pytest

from tests.hosts.engine_host import EngineHost

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm"), pytest.mark.long, pytest.mark.timeout(1800)]


def version(number: int) -> str:
    return f"1.0.{number}+5.0.{number}"


def settle_down(host: EngineHost) -> list[str]:
    """Passes until nothing is under way; the back-off after an interruption is for real time, so it is forgotten."""
    results = []
    for _ in range(5):
        results.append(host.program.reconcile())
        app = host.program.build()
        name = app.specs[0].app
        memory = app.store.memory(name)
        app.store.put_memory(memory.model_copy(update={"host_faults": None}))
        if app.store.journal(name) is None and results[-1].startswith(("noop", "held-quarantined", "upgraded")):
            return results
    told = [(alert.reason, alert.evidence) for alert in host.observed.alerts()]
    raise AssertionError(f"does not come to rest: {results}; {told}")


@pytest.mark.parametrize("fails", [False, True], ids=["passing", "failing"])
def test_every_boundary(fails: bool, tmp_path: Path) -> None:
    host = EngineHost(home=tmp_path / "host", engine="swarm")
    try:
        host.release(version(0), SCHEMA="1")
        host.program.reconcile()
        good, number = 0, 1
        env = {"FAIL": "after"} if fails else {}
        host.release(version(1), SCHEMA="2", **env)
        names = host.program.points()
        good = 0 if fails else 1
        settle_down(host)
        for at, point in enumerate(dict.fromkeys(names), 1):
            number += 1
            notes = host.observed.notes()
            host.release(version(number), SCHEMA=str(number + 1), **env)
            assert host.program.killed(point), point
            results = settle_down(host)
            good = good if fails else number
            where = (at, point, results)
            assert host.observed.answer() == f"5.0.{good}", where
            assert host.observed.known() == version(good), where
            expected = notes if fails else "".join(f"[schema {number + 1}] {line}\n" for line in notes.splitlines())
            assert host.observed.notes() == expected, where
            host.observed.check()
    finally:
        host.clear()
