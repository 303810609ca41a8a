"""Is a running app well, by its tasks? Their history is read, not the moment: a pass may come at any time. Pure.

A loop that is up for twenty seconds looks well to most passes, and an app that Swarm is just mending looks dead to
some. Neither may be judged by what one look shows.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.change import jobs, judge
from reconciler.core.change.jobs import Roles
from reconciler.core.release.facts import AppFacts
from reconciler.core.release.render import LABEL_SCALED
from reconciler.model.observed import ServiceMode, ServiceObs, StackObs, TaskObs
from reconciler.model.settling import Fault

_ON_THE_WAY = frozenset({"new", "allocated", "assigned", "accepted", "preparing", "ready", "starting", "running"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with the tasks. `persists`: the engine will not mend it, or has not in the time that it has."""

    text: str
    persists: bool
    fault: Fault = Fault.UNKNOWN
    evidence: tuple[str, ...] = ()


def find_problem(facts: AppFacts, now: datetime) -> Problem | None:
    """What is wrong with the app's tasks, the worst first; None: all run, and none has failed of late."""
    found = [problem for service in facts.stack.services for problem in _examine(service, facts, now)]
    if not found:
        return None
    lasting = [problem for problem in found if problem.persists]
    # The release's own lasting fault outweighs all that is still on its way: it will not be mended.
    guilty = next((problem for problem in lasting if problem.fault is Fault.APP), None)
    # The order of services says nothing: while one is on its way the others may only be waiting for it.
    waits = guilty is None and len(lasting) < len(found)
    worst = guilty or (lasting or found)[0]
    return Problem(
        text="; ".join(dict.fromkeys([worst.text, *(problem.text for problem in found)])),
        persists=not waits and bool(lasting),
        fault=worst.fault,
        evidence=worst.evidence,
    )


def _roles(facts: AppFacts) -> Roles:
    return jobs.roles_of(facts.spec.health, {service.name for service in facts.stack.services})


def _examine(service: ServiceObs, facts: AppFacts, now: datetime) -> Iterator[Problem]:
    known = facts.known
    # Failures of an earlier release say nothing, and those of long ago say nothing of now.
    since = max(known.at, now - timedelta(seconds=judge.LOOP_WINDOW_S)) if known else None
    failures = list_failures(service, facts, since)
    ours = [one for one in failures if one.fault is not Fault.HOST]
    if judge.is_looping(failures, now):
        yield Problem(
            text=f"service {service.name} keeps failing: {len(ours)} times of late, last with {ours[-1].why}",
            persists=True,
            fault=Fault.APP,
            evidence=_list_evidence(failures),
        )
        return
    shortage = _find_shortage(service, facts, failures, now)
    if shortage is not None:
        yield shortage
    elif ours and known is not None and known.is_watched(facts.spec.upgrade.bake, now):
        last = ours[-1]
        if (now - last.at).total_seconds() < judge.LOOP_QUIET_S:
            text = f"service {service.name} failed {len(ours)} times since its commit, last with {last.why}"
            yield Problem(text=text, persists=False)


def _list_evidence(failures: Iterable[judge.TaskFailure]) -> tuple[str, ...]:
    return tuple(f"{one.at:%H:%M:%S} task {one.task.id}: {one.why}" for one in failures)


def list_failures(service: ServiceObs, facts: AppFacts, since: datetime | None) -> tuple[judge.TaskFailure, ...]:
    """The failed tasks of what runs now, weighed, the oldest first."""
    main = service.name == _roles(facts).main
    own = judge.own_tasks(service, facts.stack)
    reasons = [(task, why) for task in own if (why := judge.failure_of(task, service, is_main=main))]
    # Nothing that was never committed has tasks here: an upgrade under way is settling's to judge.
    return judge.list_failures(service, facts.stack, reasons, since, committed=True)


def _find_shortage(
    service: ServiceObs, facts: AppFacts, failures: tuple[judge.TaskFailure, ...], now: datetime
) -> Problem | None:
    """What one service lacks at this moment, and whether that is for the engine to mend."""
    roles, tasks = _roles(facts), judge.own_tasks(service, facts.stack)
    up, wanted = jobs.count_done(service, tasks, roles), _count_wanted(service, tasks, roles)
    # The engine forgets the tasks of a job in time.
    if up >= wanted or (roles.is_job(service) and not tasks):
        return None
    if jobs.is_at_work(service, tasks, roles):
        return _find_slow_job(service, facts, tasks, now)
    errors = [task for task in tasks if task.error]
    last = max(errors, key=lambda task: task.at).error if errors else "no error on record"
    text = f"service {service.name} has {up}/{wanted} tasks running: {last}"
    if roles.is_job(service):
        text = f"job {service.name} has {up}/{wanted} tasks completed: {last}"
    # Before all else: on a drained node every task waits, and no word of it is about the app.
    if not facts.stack.can_run:
        return Problem(text=f"{text}; no node takes tasks", persists=True, fault=Fault.HOST)
    if judge.is_kept_down(failures, facts.stack, now):
        # Before what is on its way: the engine tries again and again, and fails each time.
        return Problem(text=text, persists=True, fault=Fault.HOST, evidence=_list_evidence(failures))
    if any(_is_on_the_way(task, service, facts, now) for task in tasks):
        return Problem(text=text, persists=False)
    waiting = [task for task in tasks if task.desired_state in ("running", "ready") and task.state != "running"]
    if waiting:
        return Problem(text=text, persists=True, fault=Fault.HOST)
    # No task is there and none will come: with a restart policy that ends there, the one failure is for good.
    once = roles.is_job(service) or service.restart_condition in ("none", "on-failure")
    fault = failures[-1].fault if failures and once else Fault.UNKNOWN
    return Problem(text=text, persists=True, fault=fault)


def _count_wanted(service: ServiceObs, tasks: tuple[TaskObs, ...], roles: Roles) -> int:
    if service.mode is ServiceMode.GLOBAL and not roles.is_job(service):
        return service.desired  # on no node at all if none fits, which settling saw too
    return jobs.count_wanted(service, tasks, roles)


def _find_slow_job(service: ServiceObs, facts: AppFacts, tasks: tuple[TaskObs, ...], now: datetime) -> Problem:
    """A job at work is waited for, and told when it takes longer than settling would have given it."""
    since = min(task.at for task in tasks if task.state == "running")
    spent = (now - since).total_seconds()
    text = f"job {service.name} has been at work for {spent:.0f} s"
    return Problem(text=text, persists=spent > facts.spec.health.deadline)


def _is_on_the_way(task: TaskObs, service: ServiceObs, facts: AppFacts, now: datetime) -> bool:
    """Say whether the engine is bringing this task up, or another in its place, and has not tried for too long."""
    if task.desired_state not in ("running", "ready"):
        return False
    if task.state == "pending":
        return not task.error
    # One that ended a moment ago: the engine has not put another in its place yet.
    is_due = task.state in judge.ENDED and service.restart_condition == "any"
    # A task that pulls, prepares or starts for longer than a deploy may take is not on its way any more.
    late = (now - task.at).total_seconds() > facts.spec.health.progress
    return (is_due or (task.state in _ON_THE_WAY and task.state != "running")) and not late


def find_fresh_start(facts: AppFacts, now: datetime) -> str | None:
    """Say so if the app was started anew so lately that its silence says nothing; None: it has had its time.

    One that is started again and again, however slowly, has had it: it would be starting for ever.
    """
    known, deadline_s = facts.known, facts.spec.health.deadline
    since = now - timedelta(seconds=judge.PERSISTS * 2 * deadline_s)
    since = max(known.at, since) if known else since
    if any(judge.judge(list_failures(service, facts, since)).persists for service in facts.stack.services):
        return None
    fresh = [
        task
        for service in facts.stack.services
        for task in judge.own_tasks(service, facts.stack)
        if task.state == "running"
        and task.desired_state == "running"
        and (known is None or task.at > known.at)
        and 0 <= (now - task.at).total_seconds() < deadline_s
    ]
    if not fresh:
        return None
    last = max(fresh, key=lambda task: task.at)
    return f"a task was started {(now - last.at).total_seconds():.0f} s ago"


def find_restless_neighbour(facts: AppFacts, now: datetime) -> str | None:
    """The first of the apps that this one comes after which is being changed, is short of tasks or just started."""
    for neighbour in facts.neighbours:
        if neighbour.is_changing or _is_restless(neighbour.stack, facts, now):
            return neighbour.name
    return None


def is_halted(service: ServiceObs) -> bool:
    """Say whether somebody scaled it to nothing whose replicas are not ours to judge (`drift.ignore`)."""
    is_left = service.labels.get(LABEL_SCALED) == "true" and service.mode is ServiceMode.REPLICATED
    return is_left and service.replicas == 0


def _is_restless(stack: StackObs, facts: AppFacts, now: datetime) -> bool:
    def runs(service: ServiceObs) -> int:
        tasks = stack.tasks_of(service)
        old = timedelta(seconds=facts.spec.health.deadline)
        return sum(1 for task in tasks if task.state == "running" and not now - old < task.at <= now)

    wanted = [
        (service, service.desired if service.mode is ServiceMode.GLOBAL else service.replicas)
        for service in stack.services
        if not service.mode.is_job and service.restart_condition == "any"
    ]
    return not stack.services or any(runs(service) < replicas for service, replicas in wanted)


def find_longest_run_s(facts: AppFacts, now: datetime) -> float:
    """Seconds that any task of the main service may have lived since the commit.

    The engine remembers a few tasks of each: what came before the oldest of them may have been one that ran all that
    time. Of a service that is not there nothing is known at all.
    """
    service, known = facts.stack.service(facts.spec.health.service), facts.known
    if service is None or known is None:
        return math.inf
    own = judge.own_tasks(service, facts.stack)
    ends = [(task, now if task.state == "running" else judge.end_of(task, own)) for task in own]
    lived = [(end - task.created_at).total_seconds() for task, end in ends if task.created_at is not None]
    oldest = min((task.created_at for task in own if task.created_at is not None), default=now)
    return max([*lived, (oldest - known.at).total_seconds()])
