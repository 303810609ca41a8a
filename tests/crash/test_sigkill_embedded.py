"""A real process, real child processes and a real SIGKILL at every effect point of the embedded engine."""

from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

SCENARIOS = {"passes": {"SCHEMA": "2"}, "fails after migrating": {"SCHEMA": "2", "FAIL": "after"}}


def prepared(home: Path, **env: str) -> EngineHost:
    made = EngineHost(home=home, engine="embedded", health={"min_healthy": "60ms", "successes": 1})
    made.release(V1, SCHEMA="1")
    assert made.program.reconcile() == f"deployed:{V1}"
    made.release(V2, **env)
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_sigkill_at_every_point(name: str, tmp_path: Path) -> None:
    with_env = SCENARIOS[name]
    host = prepared(tmp_path / "plain", **with_env)
    try:
        points = host.program.points()
    finally:
        host.clear()
    assert len(points) > 25
    for at, point in enumerate(points, 1):
        host = prepared(tmp_path / str(at), **with_env)
        try:
            assert host.program.killed(at), point
            results = [host.program.reconcile(), host.program.reconcile()]
            if results[0].startswith("aborted") or "held-host" in results[1]:
                (host.state / "notes" / "memory.json").unlink()  # the back-off after an interruption is for real time
                results.append(host.program.reconcile())
            where = (at, point, results)
            good = (V2, "[schema 2] first note") if name == "passes" else (V1, "first note")
            assert host.observed.known() == good[0], where
            assert host.observed.notes().startswith(good[1]), where
            assert host.observed.answer() == good[0].partition("+")[2], where
            host.observed.check()
        finally:
            host.clear()


def test_a_killed_holder_frees_the_lock_at_once(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "embedded") as host:
        host.release(V1)
        assert host.program.killed(5)
        assert host.program.reconcile().startswith(("deployed:", "aborted:"))
