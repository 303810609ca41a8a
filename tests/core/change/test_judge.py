"""Whose fault a failed task is, and what is done about it: how it ended x what the engine did x when x how often."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.change import disturbances, judge, settle
from reconciler.core.change.jobs import Roles
from reconciler.core.change.settle import Progress
from reconciler.core.live import assess, plan
from reconciler.model.action import Nothing, RollBack
from reconciler.model.disturbance import Disturbance, NodeObs
from reconciler.model.observed import StackObs, TaskObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.release import Fallback
from reconciler.model.settling import Failed, Fault, Settling
from reconciler.model.status import Status
from tests.builders import NOW, QUICK, expected, facts, known, release, service, spec, stack, task

FAILED_AT = NOW - timedelta(seconds=5)
ENDS: dict[str, dict[str, Any]] = {
    "exit 0": {"state": "complete", "exit_code": 0},
    "exit 1": {"state": "failed", "error": "task: non-zero exit (1)", "exit_code": 1},
    "exit 137": {"state": "failed", "error": "task: non-zero exit (137)", "exit_code": 137},
    "exit 143": {"state": "failed", "error": "task: non-zero exit (143)", "exit_code": 143},
    "stopped, exit 0": {"state": "complete", "exit_code": 0, "signalled": True},
    "stopped, exit 1": {"state": "failed", "error": "task: non-zero exit (1)", "exit_code": 1, "signalled": True},
    "out of memory": {"state": "failed", "error": "task: non-zero exit (137): OOMKilled", "exit_code": 137},
    "unhealthy": {
        "state": "failed",
        "error": "task: non-zero exit (137): dockerexec: unhealthy container",
        "exit_code": 137,
    },
    "rejected": {"state": "rejected", "error": "invalid mount config: bind source path does not exist: /x"},
    "no such command": {"state": "failed", "error": 'starting container failed: "network": executable file not found'},
    "port taken": {"state": "failed", "error": "starting container failed: bind: address already in use"},
    "supervisor gone": {"state": "failed", "error": "its supervisor is gone"},
    "image gone": {"state": "rejected", "error": "No such image: notes:5"},
}
LONG_AGO = NodeObs(id="n1", started_at=NOW - timedelta(days=9))
LONG_AGO_AWAY = NodeObs(id="n1", started_at=NOW - timedelta(days=9), takes_tasks=False)
AWAY = Disturbance(began=FAILED_AT, ended=NOW, node_id="n1", what="the node took no tasks")
ENGINES: dict[str, dict[str, Any]] = {
    "steady": {"nodes": (LONG_AGO,)},
    "restarted": {"nodes": (NodeObs(id="n1", started_at=FAILED_AT + timedelta(seconds=2)),)},
    "frozen": {
        "nodes": (LONG_AGO,),
        "disturbances": (Disturbance(began=FAILED_AT - timedelta(seconds=20), ended=FAILED_AT, what="no answer"),),
    },
    "drained": {"nodes": (LONG_AGO_AWAY,), "disturbances": (AWAY,)},
}
A, H, U = Fault.APP, Fault.HOST, Fault.UNKNOWN
#                  steady restarted frozen drained
WHOSE = {
    "exit 0": (A, H, H, H),
    "exit 1": (A, H, H, H),
    "exit 137": (U, H, H, H),
    "exit 143": (U, H, H, H),
    "stopped, exit 0": (U, H, H, H),
    "stopped, exit 1": (U, H, H, H),
    "out of memory": (A, H, H, H),
    "unhealthy": (A, H, H, H),
    "rejected": (A, H, H, H),
    "no such command": (A, H, H, H),
    **dict.fromkeys(("port taken", "supervisor gone", "image gone"), (H, H, H, H)),
}
ROWS = [
    pytest.param(end, engine, fault, id=f"{end}, engine {engine}")
    for end, row in WHOSE.items()
    for engine, fault in zip(ENGINES, row, strict=True)
]
NOT_STARTED = ("rejected", "no such command", "port taken", "image gone")
"""What was committed has been started on this host, so that what cannot be started any more is the host's doing."""
COMMITTED = [
    pytest.param(*row.values[:2], H if row.values[0] in NOT_STARTED else row.values[2], id=row.id) for row in ROWS
]


def history(end: str, engine: str, times: int, *, successor: str = "running") -> StackObs:
    """A service whose tasks ended so, one second apart, the last at FAILED_AT; "": nothing came after them."""
    ended = [_failed(end, number, FAILED_AT - timedelta(seconds=times - 1 - number)) for number in range(times)]
    new: dict[str, Any] = {
        "id": "new",
        "slot": "1",
        "node_id": "n1",
        "at": NOW,
        "created_at": NOW - timedelta(seconds=4),
    }
    seen = stack(service(), *ended, *([task(successor, **new)] if successor else []))
    return StackObs(services=seen.services, tasks=seen.tasks, **ENGINES[engine])


def _failed(end: str, number: int, at: datetime) -> TaskObs:
    fields: dict[str, Any] = {"at": at, "created_at": at - timedelta(seconds=1), "node_id": "n1", "slot": "1"}
    return task(**{"id": f"t{number}", "desired_state": "shutdown"} | fields | ENDS[end])


@pytest.mark.parametrize(("end", "engine", "fault"), ROWS)
def test_a_failed_task_is_laid_on_whose_fault_it_is(end: str, engine: str, fault: Fault) -> None:
    seen = history(end, engine, 1)
    why = judge.failure_of(seen.tasks[0], seen.services[0], is_main=True)
    assert judge.weigh(seen.tasks[0], why, FAILED_AT, seen) is fault


WANT = expected(roles=Roles(main="app"))


def settle_once(seen: StackObs) -> Settling:
    return settle.step(Progress(began=0.0, moved_at=0.0), WANT, {}, frozenset(), seen, 0.1)[1]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("end", "engine", "fault"), ROWS)
def test_before_the_commit(end: str, engine: str, fault: Fault, times: int) -> None:
    """At once if it is the release's, after a habit if nobody knows, and a disturbance is waited out."""
    verdict = settle_once(history(end, engine, times))
    if engine != "steady":
        if end in ("image gone", "rejected"):  # waiting brings neither the image nor the folder back
            assert isinstance(verdict, Failed)
            assert verdict.fault is Fault.HOST
        else:
            assert not isinstance(verdict, Failed)
        return
    guilty = fault is Fault.APP or (fault is Fault.UNKNOWN and times >= judge.PERSISTS)
    assert isinstance(verdict, Failed) is (guilty or fault is Fault.HOST)
    if isinstance(verdict, Failed):
        assert verdict.fault is (Fault.APP if guilty else Fault.HOST)


BACK = Fallback(release=release("0.9.0+4.0.0"), snapshot="s")


def decide(seen: StackObs, committed_s_ago: float, answer: ProbeAnswer | None = None, **changes: Any) -> Any:
    """What a pass does about an app of that history, whose release was committed then, with two minutes of bake."""
    at = NOW - timedelta(seconds=committed_s_ago)
    record = known(services={"app": "spec-1"}, desired="d", fallback=BACK, at=at, baked=committed_s_ago > 120)
    patient = spec(upgrade={"bake": 120}, health={"scheme": "http", **QUICK, "deadline": 600})
    found = facts(spec=patient, known=record, desired="d", stack=seen, answer=answer, **changes)
    assessment = assess.assess(found, NOW)
    return assessment, plan.choose_action(found, assessment, NOW)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("end", "engine", "fault"), COMMITTED)
def test_within_the_bake_watch(end: str, engine: str, fault: Fault, times: int) -> None:
    """Only a release that keeps failing by itself is taken back; whatever is mended is waited for."""
    assessment, action = decide(history(end, engine, times), 60)
    loops = times >= judge.PERSISTS and fault is not Fault.HOST
    assert isinstance(action, RollBack) is loops
    if not loops:
        assert assessment.status in (Status.UNVERIFIED, Status.IN_SYNC)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("end", "engine", "fault"), COMMITTED)
def test_after_the_bake_watch(end: str, engine: str, fault: Fault, times: int) -> None:
    """Data is never taken back; a loop is an alert, also in the moments in which it is up."""
    assessment, action = decide(history(end, engine, times), 3600)
    loops = times >= judge.PERSISTS and fault is not Fault.HOST
    assert isinstance(action, Nothing)
    assert action.ok is not loops
    assert assessment.status is (Status.FAILED if loops else Status.IN_SYNC)


@pytest.mark.parametrize("engine", ["steady", "restarted", "frozen"])
@pytest.mark.parametrize("end", ENDS)
def test_a_task_that_is_not_mended_yet_takes_no_data(end: str, engine: str) -> None:
    _, action = decide(history(end, engine, 1, successor=""), 60)
    assert not isinstance(action, RollBack)


@pytest.mark.parametrize("committed_s_ago", [60, 3600])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("end", NOT_STARTED)
def test_what_the_host_starts_no_more_is_told_and_takes_no_data(end: str, times: int, committed_s_ago: float) -> None:
    """The engine tries again and again, so that some task is always on its way."""
    assessment, action = decide(history(end, "steady", times, successor="preparing"), committed_s_ago)
    assert isinstance(action, Nothing)
    assert action.ok is (times < judge.PERSISTS)
    if not action.ok:
        assert assessment.fault is Fault.HOST
        assert ENDS[end]["error"] in assessment.reason


def test_a_drained_node_is_told_and_takes_no_data() -> None:
    assessment, action = decide(history("exit 143", "drained", 1, successor=""), 60)
    assert assessment.fault is Fault.HOST
    assert "no node takes tasks" in assessment.reason
    assert isinstance(action, Nothing)
    assert not action.ok


def test_an_old_failure_that_the_engine_stamped_anew_is_old() -> None:
    """dockerd stamps all tasks with the moment at which it starts; the successor in the slot was created before."""
    restart = NOW - timedelta(seconds=100)
    first = task("failed", id="a", slot="1", error="x", at=restart, created_at=NOW - timedelta(hours=2))
    second = task(id="b", slot="1", at=NOW - timedelta(hours=1), created_at=NOW - timedelta(hours=1))
    assert judge.end_of(first, (first, second)) == NOW - timedelta(hours=1)
    assert judge.end_of(second, (first, second)) == NOW - timedelta(hours=1)


BAD = ProbeAnswer(ok=False, code=503, detail="503")
GOOD = ProbeAnswer(ok=True, code=200, detail="200")
RUNS = history("exit 1", "steady", 0)
SETTLED_LONG_AGO = StackObs(
    services=RUNS.services,
    tasks=(task(at=NOW - timedelta(hours=1), created_at=NOW - timedelta(hours=1)),),
    nodes=(LONG_AGO,),
)
SLOW_LOOP = StackObs(
    services=RUNS.services,
    tasks=(
        *(_failed("exit 1", number, NOW - timedelta(minutes=8 * (3 - number))) for number in range(3)),
        task(id="new", slot="1", at=NOW - timedelta(minutes=1), created_at=NOW - timedelta(minutes=1)),
    ),
    nodes=(LONG_AGO,),
)
JUST_RESTARTED = StackObs(
    services=RUNS.services, tasks=SETTLED_LONG_AGO.tasks, nodes=(NodeObs(id="n1", started_at=NOW),)
)


@pytest.mark.parametrize(
    ("seen", "changes", "takes_back", "status"),
    [
        pytest.param(
            SLOW_LOOP, {}, False, Status.FAILED, id="it is started anew every eight minutes, and never answers"
        ),
        pytest.param(SETTLED_LONG_AGO, {}, True, Status.FAILED, id="it is silent, and nothing else happened"),
        pytest.param(
            SETTLED_LONG_AGO,
            {"committed_answer": GOOD},
            False,
            Status.FAILED,
            id="it answers as it was committed; the spec asks for something else",
        ),
        pytest.param(SETTLED_LONG_AGO, {"committed_answer": BAD}, True, Status.FAILED, id="it answers neither way"),
        pytest.param(RUNS, {}, False, Status.UNVERIFIED, id="its task was started anew and has its time"),
        pytest.param(JUST_RESTARTED, {}, False, Status.FAILED, id="the engine was started just now"),
    ],
)
def test_whose_silence_it_is(seen: StackObs, changes: dict[str, Any], takes_back: bool, status: Status) -> None:
    assessment, action = decide(seen, 3600 if seen is SLOW_LOOP else 60, BAD, **changes)
    assert isinstance(action, RollBack) is takes_back
    assert assessment.status is status


def test_a_loop_is_over_after_twice_its_longest_pause() -> None:
    def looping(*seconds_ago: float) -> bool:
        ended = [_failed("exit 1", number, NOW - timedelta(seconds=ago)) for number, ago in enumerate(seconds_ago)]
        seen = stack(service(), *ended)
        why = [(one, one.error) for one in ended]
        return judge.is_looping(judge.list_failures(service(), seen, why), NOW)

    assert looping(70, 60, 50)
    assert not looping(90, 80, 70)
    assert not looping(10, 5)
    assert looping(500, 300, 100)
    assert not looping(801, 601, 401)


def test_what_goes_on_is_one_disturbance() -> None:
    def away(second: float, node: str = "n1") -> Disturbance:
        at = NOW + timedelta(seconds=second)
        return Disturbance(began=at, ended=at, node_id=node, what="the node took no tasks")

    known: tuple[Disturbance, ...] = ()
    for second in (0, 30, 60, 60 + disturbances.SAME_S + 1):
        known = disturbances.merge(known, [away(second)])
    known = disturbances.merge(known, [away(30, "n2")])
    assert [(one.node_id, (one.ended - one.began).total_seconds()) for one in known] == [
        ("n1", 60),
        ("n2", 0),
        ("n1", 0),
    ]


def test_an_engine_that_was_started_is_noticed_once() -> None:
    seen = StackObs(nodes=(LONG_AGO,))
    once = disturbances.merge((), disturbances.notice(seen, NOW))
    assert disturbances.merge(once, disturbances.notice(seen, NOW + timedelta(hours=1))) == once
    assert disturbances.find_last(StackObs(disturbances=once)) == LONG_AGO.started_at


SIDE_BY_SIDE = [
    pytest.param(["1", "2", "3"], False, id="three replicas that crashed once"),
    pytest.param(["1", "1", "2", "2", "3"], False, id="three replicas of which none crashed three times"),
    pytest.param(["1", "2", "1", "1"], True, id="one of them three times"),
    pytest.param(["n1", "n2", "n3", "n4"], False, id="a global service, once on each of four nodes"),
]


@pytest.mark.parametrize(("slots", "persists"), SIDE_BY_SIDE)
def test_replicas_that_crash_side_by_side_crash_once(slots: list[str], persists: bool) -> None:
    ended = [
        task("failed", id=f"t{n}", slot=slot, error="no db yet", at=NOW + timedelta(seconds=n))
        for n, slot in enumerate(slots)
    ]
    seen = stack(service(replicas=3), *ended)
    reasons = [(one, one.error) for one in ended]
    failures = judge.list_failures(seen.services[0], seen, reasons)
    assert judge.judge(failures, tolerated=2).persists is persists
    assert judge.is_looping(failures, NOW + timedelta(seconds=9)) is persists
