"""Did Swarm finish, with what we asked for? A pure function over what was seen, fed once per poll. Pure.

Never fooled by tasks of the old spec, old update states, a silent rollback, a pause, a restart loop shown as 1/1,
a missing image or a momentary green (docs/adr/0004).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.core.change import disturbances, jobs, judge, updates
from reconciler.core.change.jobs import Roles
from reconciler.core.release import sent
from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.model.journal import ServiceMark
from reconciler.model.observed import ContainerObs, ServiceObs, StackObs, TaskObs
from reconciler.model.settling import Failed, Fault, Moving, Settled, Settling

RUNNING = "running"
FATAL_REJECTIONS = ("no such image", "invalid mount", "invalid reference", "bind source path does not exist")
_COMING = frozenset(
    {"new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"}
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What was sent. `services`: short name -> image as sent; `bundle` is the label value that must stand on each.

    `roles`: which of them must be running at the end, however little Swarm asks of it, and which must have completed.
    `doc`: the whole document of `stack`, to compare with what stands; {}: it is not compared.
    """

    bundle: str
    services: Mapping[str, str]
    min_healthy_s: float
    progress_s: float
    deadline_s: float
    pending_s: float
    new_s: float
    max_restarts: int
    roles: Roles = field(default_factory=Roles)
    doc: Mapping[str, object] = field(default_factory=dict)
    stack: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What settling remembers from poll to poll. Times are seconds in which the engine answered.

    `disturbed_at`: when the engine was last disturbed, as far as the last look told.
    """

    began: float
    moved_at: float
    disturbed_at: datetime | None = None
    seen: str = ""
    steady_since: float | None = None
    steady_tasks: frozenset[str] = frozenset()
    waiting_since: Mapping[str, float] = field(default_factory=dict)


def step(
    state: Progress,
    want: Expected,
    marks: Mapping[str, ServiceMark],
    old_tasks: frozenset[str],
    stack: StackObs,
    at: float,
) -> tuple[Progress, Settling]:
    """Judge one look. `marks` and `old_tasks` are from before our write.

    `at`: seconds in which the engine answered, since any moment. A new disturbance begins all deadlines anew: whatever
    was under way starts once more.

    Returns the state for the next poll with the verdict; a `Failed` or `Settled` verdict is final.
    """
    state = _note_progress(_note_disturbance(state, stack, at), stack, at)
    failure = _refused(want, marks, stack) or _broken(want, old_tasks, stack)
    if failure is None:
        state, failure = _stuck(state, want, stack, at)
    if failure is not None:
        return state, failure
    missing = _unfinished(want, marks, stack)
    if missing is None:
        carrying = _carrying(want, stack)
        since = state.steady_since if carrying == state.steady_tasks else None
        if since is None:
            since = at
        # Standing still is what is wanted now, so it counts as moving.
        state = replace(state, steady_since=since, steady_tasks=carrying, moved_at=at)
        if at - since >= want.min_healthy_s:
            return state, _unlike_sent(want, stack) or Settled(task_ids=carrying)
        missing = f"the same tasks running for {want.min_healthy_s:g} s"
    else:
        # A migration at work looks the same for minutes; only the deadline ends it.
        moved_at = at if jobs.any_at_work(stack, want.roles) else state.moved_at
        state = replace(state, steady_since=None, steady_tasks=frozenset(), moved_at=moved_at)
    if at - state.began > want.deadline_s:
        return state, Failed(
            reason=f"not settled within {want.deadline_s:g} s", evidence=(f"still waiting for {missing}",)
        )
    if at - state.moved_at > want.progress_s:
        return state, Failed(reason=f"nothing moved for {want.progress_s:g} s", evidence=(f"waiting for {missing}",))
    return state, Moving(waiting_for=missing)


def _note_disturbance(state: Progress, stack: StackObs, at: float) -> Progress:
    last = disturbances.find_last(stack)
    if last is None or last == state.disturbed_at:
        return state
    if not state.seen:
        return replace(state, disturbed_at=last)  # the first look: it was before us
    return replace(state, disturbed_at=last, began=at, moved_at=at, waiting_since={})


def _note_progress(state: Progress, stack: StackObs, at: float) -> Progress:
    picture = repr(
        (
            sorted((s.name, s.version_index, s.update.state if s.update else "") for s in stack.services),
            sorted((t.id, t.state) for t in stack.tasks),
        )
    )
    return state if picture == state.seen else replace(state, seen=picture, moved_at=at)


def _refused(want: Expected, marks: Mapping[str, ServiceMark], stack: StackObs) -> Failed | None:
    """Swarm took something else than what was sent, or took it back."""
    for name, image in want.services.items():
        service = stack.service(name)
        if service is None:
            return Failed(reason=f"service {name} is missing", evidence=("the deploy did not create it",))
        failures = _list_failures(service, stack, frozenset(), is_main=name == want.roles.main)
        ended = updates.ended_early(service, failures, marks.get(name), stack)
        if ended is not None:
            return ended
        if service.labels.get(LABEL_BUNDLE) != want.bundle:
            return Failed(
                reason=f"service {name} does not carry what was sent",
                evidence=(f"label {LABEL_BUNDLE} is {service.labels.get(LABEL_BUNDLE, 'absent')!r}",),
            )
        if service.image != image:
            return Failed(reason=f"service {name} runs another image", evidence=(f"{service.image}, sent {image}",))
    return None


def _broken(want: Expected, old_tasks: frozenset[str], stack: StackObs) -> Failed | None:
    """New tasks that failed or were rejected, and containers that are about to be."""
    for name in want.services:
        service = stack.service(name)
        if service is None:
            continue
        failures = _list_failures(service, stack, old_tasks, is_main=name == want.roles.main)
        for failure in failures:
            why = failure.why
            if failure.task.state == "rejected" and any(text in why.lower() for text in FATAL_REJECTIONS):
                evidence = (f"task {failure.task.id} rejected",)
                return Failed(reason=f"service {name}: {why}", evidence=evidence, fault=failure.fault, service=name)
        failed = _judge(service, failures, want, stack)
        if failed is not None:
            return failed
    return None


def _judge(
    service: ServiceObs, failures: Sequence[judge.TaskFailure], want: Expected, stack: StackObs
) -> Failed | None:
    """Say what the failed tasks of one service come to; None: nothing yet."""
    if not failures:
        return None
    is_job = want.roles.is_job(service)
    tolerated = want.roles.tolerated(service, want.max_restarts)
    finding = judge.judge(failures, tolerated)
    # Swarm starts it no more, so there is nothing to wait for, whose fault it may be.
    is_over = is_job and not service.mode.is_job and service.restart_condition == "none"
    if not (finding.persists or is_over or judge.is_hosts_habit(failures, stack, tolerated)):
        return None
    last = failures[-1]
    return Failed(
        reason=f"{jobs.tell_failed(service, last, want.roles)}: {last.why}",
        evidence=tuple(f"task {one.task.id} {one.task.state}: {one.why}" for one in failures),
        fault=finding.fault if finding.persists or not is_over else last.fault,
        service=service.name,
    )


def _list_failures(
    service: ServiceObs, stack: StackObs, old_tasks: frozenset[str], *, is_main: bool
) -> tuple[judge.TaskFailure, ...]:
    doomed = {c.task_id: c for c in stack.containers if c.health == "unhealthy" or c.state in ("exited", "dead")}
    reasons = [
        (task, why)
        for task in judge.own_tasks(service, stack)
        if task.id not in old_tasks and (why := _why(task, service, doomed.get(task.id), is_main=is_main))
    ]
    return judge.list_failures(service, stack, reasons)


def _why(task: TaskObs, service: ServiceObs, container: ContainerObs | None, *, is_main: bool) -> str:
    """Why this task counts as failed, '' if it does not: as it says itself, or as its container does already."""
    told = judge.failure_of(task, service, is_main=is_main)
    if told or container is None or task.desired_state not in (RUNNING, "ready") or task.state == "complete":
        return told
    if container.health == "unhealthy":
        return "unhealthy container"
    if container.exit_code and not service.mode.is_job:
        return f"task: non-zero exit ({container.exit_code})"
    return ""


def _stuck(state: Progress, want: Expected, stack: StackObs, at: float) -> tuple[Progress, Failed | None]:
    """Tasks that wait for the host: no node fits, no address left."""
    if not stack.can_run:
        return replace(state, waiting_since={}), None  # no node takes tasks: settling waits until one does
    waiting = {}
    for name in want.services:
        service = stack.service(name)
        own = judge.own_tasks(service, stack) if service else ()
        if service is not None and not own and jobs.fits_nowhere(service):
            waiting[name] = state.waiting_since.get(name, at)
            if at - waiting[name] > want.pending_s:
                reason = f"service {name}: no node that it may run on for more than {want.pending_s:g} s"
                return state, Failed(reason=reason, evidence=("it runs on every node that fits",), fault=Fault.HOST)
        for task in own:
            if task.state in ("pending", "new") and task.desired_state in (RUNNING, "ready"):
                waiting[task.id] = state.waiting_since.get(task.id, at)
                limit = want.pending_s if task.state == "pending" else want.new_s
                if at - waiting[task.id] > limit:
                    return state, Failed(
                        reason=f"service {name}: task {task.state} for more than {limit:g} s",
                        evidence=(task.error or "the engine gives no reason",),
                        fault=Fault.HOST,
                    )
    return replace(state, waiting_since=waiting), None


def _unfinished(want: Expected, marks: Mapping[str, ServiceMark], stack: StackObs) -> str | None:
    """What is still missing, None if every service has what it wants."""
    for name in want.services:
        service = stack.service(name)
        if service is None:
            return f"service {name}"
        update = service.update
        if update is not None and update.state == "updating" and updates.is_ours(service, marks.get(name)):
            return f"the update of service {name}"
        own = judge.own_tasks(service, stack)
        have, wanted = jobs.count_done(service, own, want.roles), jobs.count_wanted(service, own, want.roles)
        if have < wanted:
            states = ", ".join(sorted({task.state for task in own if task.state in _COMING})) or "no task yet"
            if want.roles.is_job(service):
                return f"job {name} to complete, {have}/{wanted} ({states})"
            return f"service {name} {have}/{wanted} ({states})"
        stale = updates.list_stale(service, stack)
        if stale:
            return f"{len(stale)} old tasks of service {name} to end"
    return None


def _unlike_sent(want: Expected, stack: StackObs) -> Failed | None:
    """What stands is not what was sent, though its labels and images are.

    The cause is unknown (a hand, the engine, something older that was left as it was), so the release is not blamed.
    """
    found = sent.find_differences(want.doc, want.stack, stack)
    if not found:
        return None
    return Failed(reason=f"what runs is not what was sent: {found[0]}", evidence=found, fault=Fault.UNKNOWN)


def _carrying(want: Expected, stack: StackObs) -> frozenset[str]:
    found = set()
    for name in want.services:
        service = stack.service(name)
        for task in judge.own_tasks(service, stack) if service else ():
            if task.state == RUNNING and task.desired_state == RUNNING:
                found.add(task.id)
    return frozenset(found)
