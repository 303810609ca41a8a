"""The settle rules on payloads recorded from a real Engine (tests/record_payloads.py made them)."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.swarm import parse
from reconciler.core.change import settle
from reconciler.core.change.jobs import Roles
from reconciler.core.change.settle import Expected, Progress
from reconciler.model.ids import StackName
from reconciler.model.journal import ServiceMark
from reconciler.model.observed import StackObs
from reconciler.model.settling import Failed, Fault, Moving, Settled, Settling

PAYLOADS = Path(__file__).parents[2] / "payloads"
ENGINES = ("20.10", "26.1", "28.5")
# name -> (what it must come to, the reason, by when in seconds of the recording)
EXPECTED: dict[str, tuple[type[Settling], str, float]] = {
    "good": (Settled, "", 5),
    "missing_image": (Failed, "No such image", 3),
    "exit_at_once": (Failed, "non-zero exit (3)", 4),
    "exit_after_running": (Failed, "non-zero exit (3)", 5),
    "health_never_passes": (Failed, "unhealthy", 7),
    "health_passes_then_fails": (Failed, "unhealthy", 9),
    "no_suitable_node": (Failed, "task pending", 6),
    "zero_replicas": (Settled, "", 4),
    "global_mode": (Settled, "", 5),
    "paused": (Failed, "exit (3)", 11),
    "silent_rollback": (Failed, "", 20),
    "good_update": (Settled, "", 12),
    "after_an_old_rollback": (Settled, "", 14),
    "after_an_old_failed_task": (Settled, "", 12),
    "restart_loop_completed": (Failed, "non-zero exit (3)", 18),
    "no_op": (Settled, "", 4),
}


def load(engine: str, name: str) -> Any:
    return json.loads((PAYLOADS / engine / f"{name}.json").read_text())


def replay(engine: str, name: str, min_healthy_s: float = 1.0) -> tuple[Settling, float]:
    """Feed a recording; the final verdict and when it fell."""
    raw = load(engine, name)
    stood = parse.stacks(*raw["before"][:2]).get(StackName("payload"), StackObs())
    marks = {
        s.name: ServiceMark(version_index=s.version_index, update_started_at=s.update.started_at if s.update else "")
        for s in stood.services
    }
    same = {s.id for s in stood.services if s.labels.get("ci-warm.bundle") == raw["bundle"]}
    old = frozenset(t.id for t in stood.tasks if t.service_id not in same or t.state != "running")
    want = Expected(
        bundle=raw["bundle"],
        services={"app": raw["image"]},
        min_healthy_s=min_healthy_s,
        progress_s=60,
        deadline_s=120,
        pending_s=3,
        new_s=3,
        max_restarts=0,
        roles=Roles(main="app"),
    )
    state, at, shown = Progress(began=0.0, moved_at=0.0), 0.0, StackObs()
    looks = raw["looks"]
    verdict: Settling = Moving(waiting_for="the first look")
    step_s = 0.1  # as often as the program polls
    while at <= looks[-1][0] + step_s:
        seen = next((look for look in reversed(looks) if look[0] <= at), None)
        if seen is not None:
            parsed = parse.stacks(seen[1], seen[2]).get(StackName("payload"), StackObs())
            containers = tuple(parse.container(one) for one in seen[3])
            shown = StackObs(services=parsed.services, tasks=parsed.tasks, containers=containers)
            state, verdict = settle.step(state, want, marks, old, shown, at)
            if not isinstance(verdict, Moving):
                break
        at += step_s
    return verdict, at


HOSTS = ("no_suitable_node", "missing_image")
"""An image that preparing had at hand and that is gone was removed by the host."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", EXPECTED)
def test_recorded(name: str, engine: str) -> None:
    kind, reason, by = EXPECTED[name]
    # A loop that lives three seconds is only told from a good start by a longer look.
    verdict, at = replay(
        engine, name, 4.0 if name == "restart_loop_completed" else 1.5 if "then" in name or "after_r" in name else 1.0
    )
    assert isinstance(verdict, kind), (verdict, at)
    assert at <= by
    if isinstance(verdict, Failed):
        assert reason in verdict.reason
        assert verdict.fault is (Fault.HOST if name in HOSTS else Fault.APP)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_recording_is_expected_and_says_what_it_should(engine: str) -> None:
    assert {path.stem for path in (PAYLOADS / engine).glob("*.json")} == set(EXPECTED)
    final = {}
    for name in ("silent_rollback", "paused", "after_an_old_rollback"):
        raw = load(engine, name)
        assert raw["engine"].startswith(f"docker {engine}.")
        final[name] = [(look[1][0].get("UpdateStatus") or {}).get("State") for look in raw["looks"] if look[1]]
    assert final["silent_rollback"][-1] == "rollback_completed"
    assert final["paused"][-1] == "paused"
    old = load(engine, "after_an_old_rollback")["before"][0][0]["UpdateStatus"]["State"]
    assert old == "rollback_completed"
