"""Whose fault it is that tasks failed: the release's, the host's, or unknown. Pure.

One judge for settling, verifying, the bake watch and the steady state. It reads the history of tasks, not the moment,
and the life of the engine and its nodes: what fails while dockerd is restarted, frozen or killed, or while a node is
drained, says nothing of a release. Only `Fault.APP` may ever take data back or quarantine a release
(docs/adr/0014).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from reconciler.core.change import disturbances, faults
from reconciler.model.observed import ServiceObs, StackObs, TaskObs
from reconciler.model.settling import Fault

PERSISTS = 3
"""Failed tasks of one service that are a habit. Swarm mends one, two may be the restart of what it depends on."""
LOOP_WINDOW_S = 600.0
"""As far back as failures are counted once the bake watch is over."""
LOOP_QUIET_S = 60.0
"""A loop is over after this long without a failure, or twice the longest pause that it made, if that is more."""
ENDED = frozenset({"complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
_SIGNALS = (137, 143)
_REAPED = ("unhealthy", "oom", "out of memory")


@dataclass(frozen=True, kw_only=True)
class TaskFailure:
    """A task that failed: when, with what words, and whose fault that is."""

    task: TaskObs
    at: datetime
    why: str
    fault: Fault


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a service's failures come to. `persists`: it keeps failing, by the release's own fault."""

    fault: Fault
    persists: bool
    failures: tuple[TaskFailure, ...]


def end_of(task: TaskObs, siblings: Iterable[TaskObs]) -> datetime:
    """When a task ended: not later than its successor was created.

    The engine stamps all tasks that it still has containers of anew when it starts again, so that an old failure
    would look like one of that moment.
    """
    later = [
        other.created_at
        for other in siblings
        if other.created_at is not None
        and task.created_at is not None
        and other.slot == task.slot
        and other.created_at > task.created_at
    ]
    # Not later than its own word either, for the newest task of a slot has no successor.
    return min([task.at, *later])


def weigh(task: TaskObs, why: str, at: datetime, stack: StackObs, *, committed: bool = False) -> Fault:
    """Say whose fault one failed task is: the release's, the host's, or unknown.

    `committed`: what the task should have run has been started on this host before.
    """
    if disturbances.find(stack, at, task.node_id) is not None:
        return Fault.HOST
    if task.state == "orphaned" or faults.is_hosts(why):
        return Fault.HOST
    if committed and (task.state == "rejected" or faults.is_not_started(why)):
        # The same container could be started when it was committed: a folder, a user or a device has gone since.
        return Fault.HOST
    low = why.lower()
    # An app that ends in order when it is asked to has its own exit code, mostly 0.
    signalled = task.signalled or task.exit_code in _SIGNALS or any(f"exit ({code})" in low for code in _SIGNALS)
    if signalled and not any(text in low for text in _REAPED):
        # Killed from outside: an operator, the kernel, or another program. The task does not say which.
        return Fault.UNKNOWN
    return Fault.APP


def list_failures(
    service: ServiceObs,
    stack: StackObs,
    reasons: Sequence[tuple[TaskObs, str]],
    since: datetime | None = None,
    *,
    committed: bool = False,
) -> tuple[TaskFailure, ...]:
    """Weigh the failed tasks of a service, the oldest first. `reasons`: the tasks, with why each counts as failed."""
    siblings = stack.tasks_of(service)
    found = []
    for task, why in reasons:
        at = end_of(task, siblings)
        if task.state not in ENDED:
            # Its container ended and the task does not say so yet: some time between its start and now.
            at = max(at, disturbances.find_last(stack, task.node_id) or at)
        if since is None or at > since:
            found.append(TaskFailure(task=task, at=at, why=why, fault=weigh(task, why, at, stack, committed=committed)))
    return tuple(sorted(found, key=lambda failure: failure.at))


def judge(failures: Sequence[TaskFailure], tolerated: int = PERSISTS - 1) -> Finding:
    """Say what the failures of one service come to. `tolerated`: failures of the release that are no verdict yet.

    Replicas that crash side by side crash once: counted is the replica that failed most often, or a service of many
    would be worn out by one start of the database it waits for.
    """
    # A tolerance of many makes a habit no quicker than one of none.
    habit = max(tolerated, PERSISTS - 1)
    app = _count_worst(failures, Fault.APP)
    persists = app > tolerated or _count_worst(failures, Fault.APP, Fault.UNKNOWN) > habit
    if persists:
        fault = Fault.APP
    elif any(failure.fault is Fault.HOST for failure in failures):
        fault = Fault.HOST
    else:
        fault = Fault.UNKNOWN
    return Finding(fault=fault, persists=persists, failures=tuple(failures))


def sum_up(failures: Sequence[TaskFailure]) -> Fault:
    """Whose fault it is that Swarm gave up for these: the release's where one of them, or nothing known, is."""
    faults = {failure.fault for failure in failures}
    if not faults or Fault.APP in faults:
        return Fault.APP
    return Fault.UNKNOWN if Fault.UNKNOWN in faults else Fault.HOST


def _count_worst(failures: Sequence[TaskFailure], *faults: Fault) -> int:
    """How often the replica failed, by one of these faults, that failed most often."""
    slots = Counter(failure.task.slot for failure in failures if failure.fault in faults)
    return max(slots.values(), default=0)


def is_looping(failures: Sequence[TaskFailure], now: datetime) -> bool:
    """Say whether a service that fails again and again is still at it, though it may run at this moment."""
    return _goes_on([failure for failure in failures if failure.fault is not Fault.HOST], now)


def is_kept_down(failures: Sequence[TaskFailure], stack: StackObs, now: datetime) -> bool:
    """Say whether the host goes on failing a service, so that waiting for it is not enough."""
    return _goes_on(_list_lasting(failures, stack), now)


def _goes_on(failures: Sequence[TaskFailure], now: datetime) -> bool:
    if _count_worst(failures, *Fault) < PERSISTS:
        return False
    pauses = [(later.at - earlier.at).total_seconds() for earlier, later in pairwise(failures)]
    return (now - failures[-1].at).total_seconds() < max(LOOP_QUIET_S, 2 * max(pauses))


def is_hosts_habit(failures: Sequence[TaskFailure], stack: StackObs, tolerated: int) -> bool:
    """Say whether the host itself has failed the tasks more often than is tolerated."""
    return len(_list_lasting(failures, stack)) > tolerated


def _list_lasting(failures: Sequence[TaskFailure], stack: StackObs) -> list[TaskFailure]:
    """Failures by the host with no disturbance that would be over by itself."""
    return [
        one
        for one in failures
        if one.fault is Fault.HOST and disturbances.find(stack, one.at, one.task.node_id) is None
    ]


def failure_of(task: TaskObs, service: ServiceObs, *, is_main: bool) -> str:
    """Why this task counts as failed, '' if it does not."""
    if task.state in ("failed", "rejected", "orphaned"):
        return task.error or f"task {task.state}"
    if task.state == "complete" and not service.mode.is_job and (is_main or service.restart_condition == "any"):
        return f"task ended by itself with exit code {task.exit_code or 0}"
    return ""


def own_tasks(service: ServiceObs, stack: StackObs) -> tuple[TaskObs, ...]:
    """Tasks of the spec that stands now; those of an older spec, or of an earlier run of a job, say nothing."""
    now = (service.template_fingerprint, service.job_iteration)
    return tuple(task for task in stack.tasks_of(service) if (task.template_fingerprint, task.job_iteration) == now)
