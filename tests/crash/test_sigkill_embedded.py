"""A real process, real child processes and a real SIGKILL at every effect point of the embedded engine."""

from pathlib import Path

import pytest

from tests.lab import V1, V2, Lab, lab

SCENARIOS = {"passes": {"SCHEMA": "2"}, "fails after migrating": {"SCHEMA": "2", "FAIL": "after"}}


def prepared(home: Path, **env: str) -> Lab:
    made = Lab(home=home, engine="embedded", health={"min_healthy": "60ms", "successes": 1})
    made.release(V1, SCHEMA="1")
    assert made.reconcile() == f"deployed:{V1}"
    made.release(V2, **env)
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_sigkill_at_every_point(name: str, tmp_path: Path) -> None:
    with_env = SCENARIOS[name]
    host = prepared(tmp_path / "plain", **with_env)
    try:
        points = host.points()
    finally:
        host.clear()
    assert len(points) > 25
    for at, point in enumerate(points, 1):
        host = prepared(tmp_path / str(at), **with_env)
        try:
            assert host.killed(at), point
            results = [host.reconcile(), host.reconcile()]
            if results[0].startswith("aborted") or "held-host" in results[1]:
                (host.state / "notes" / "memory.json").unlink()  # the back-off after an interruption is for real time
                results.append(host.reconcile())
            where = (at, point, results)
            good = (V2, "[schema 2] first note") if name == "passes" else (V1, "first note")
            assert host.known() == good[0], where
            assert host.notes().startswith(good[1]), where
            assert host.answer() == good[0].partition("+")[2], where
            host.check()
        finally:
            host.clear()


def test_a_killed_holder_frees_the_lock_at_once(tmp_path: Path) -> None:
    with lab(tmp_path / "lab", "embedded") as host:
        host.release(V1)
        assert host.killed(5)
        assert host.reconcile().startswith(("deployed:", "aborted:"))
