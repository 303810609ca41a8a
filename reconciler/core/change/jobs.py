"""Which services are jobs, and what one still lacks: a job is done when it completed, not while it runs. Pure.

Read by settling and by the steady state alike, so that both mean the same by "done".
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reconciler.core.change import judge
from reconciler.model.health import HealthSpec
from reconciler.model.observed import ServiceMode, ServiceObs, StackObs, TaskObs

_GLOBAL = (ServiceMode.GLOBAL, ServiceMode.GLOBAL_JOB)
_ENDS_WELL_ONCE = ("none", "on-failure")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the services of a release are for. `main`: '' if none of them bears that name.

    `listed`: services that the spec calls jobs (`health.jobs`). `retries`: failed tasks of a job that Swarm repeats
    which are no verdict yet; 0 unless the spec sets `health.max_restarts`.
    """

    main: str = ""
    listed: frozenset[str] = frozenset()
    retries: int = 0

    def is_job(self, service: ServiceObs) -> bool:
        """Say whether this service must complete.

        A restart policy of `none` beside a main service is a migration: Swarm will not start it again. `on-failure`
        says nothing, because many services that never end have it; those must be listed.
        """
        if service.mode.is_job or service.name in self.listed:
            return True
        return service.restart_condition == "none" and self.main not in ("", service.name)

    def may_end(self, service: ServiceObs) -> bool:
        """Say whether a task of it that ended by itself, with exit code 0, has done what it was for."""
        once = service.restart_condition in _ENDS_WELL_ONCE and service.name != self.main
        return self.is_job(service) or once

    def tolerated(self, service: ServiceObs, otherwise: int) -> int:
        """How many failed tasks of it are no verdict yet. `otherwise`: of a service that is to stay."""
        if not self.is_job(service):
            return otherwise
        # Swarm repeats a failed task of a job mode by itself; only the spec may say that this is no verdict yet.
        if service.mode.is_job:
            return self.retries
        return 0 if service.restart_condition == "none" else otherwise


def roles_of(health: HealthSpec, services: Collection[str]) -> Roles:
    """Read the roles of these services, by short name, off the health settings."""
    return Roles(
        main=health.service if health.service in services else "",
        listed=frozenset(health.jobs),
        retries=health.max_restarts or 0,
    )


def count_done(service: ServiceObs, own: Sequence[TaskObs], roles: Roles) -> int:
    """How many tasks of the spec that stands carry the service: those that run, or for a job those that completed."""
    complete = sum(task.state == "complete" for task in own)
    running = sum(task.state == task.desired_state == "running" for task in own)
    if roles.is_job(service):
        return complete
    return running + (complete if roles.may_end(service) else 0)


def count_wanted(service: ServiceObs, own: Sequence[TaskObs], roles: Roles) -> int:
    """How many must carry it.

    Of a global service the engine leaves out tasks that wait for their restart and, of one that runs once, those that
    completed, so its own figure may be 0.
    """
    if service.mode not in _GLOBAL:
        return service.replicas
    # The tasks are counted beside the engine's figure, and the larger of both is waited for.
    coming = sum(task.desired_state in ("running", "ready", "complete") for task in own)
    ended = sum(task.state == "complete" and task.desired_state == "shutdown" for task in own)
    return max(service.desired, coming + (ended if roles.may_end(service) else 0), 1)


def fits_nowhere(service: ServiceObs) -> bool:
    """Say whether the engine wants no task of one that runs on every node that fits; of another it would say so."""
    return service.mode in _GLOBAL and service.desired == 0


def is_at_work(service: ServiceObs, own: Sequence[TaskObs], roles: Roles) -> bool:
    """Say whether this is a job that runs at this moment: it has not stopped moving, whatever else is seen of it."""
    return roles.is_job(service) and any(task.state == "running" for task in own)


def any_at_work(stack: StackObs, roles: Roles) -> bool:
    """Say whether any job of the stack is at work."""
    return any(is_at_work(service, judge.own_tasks(service, stack), roles) for service in stack.services)


def tell_failed(service: ServiceObs, last: judge.TaskFailure, roles: Roles) -> str:
    """Name a service whose task failed: a job with the code that it ended with.

    The words come first: a task that does not know yet that its container ended says 0.
    """
    if not roles.is_job(service):
        return f"service {service.name}"
    said = re.search(r"exit \((\d+)\)", last.why)
    exit_code = said[1] if said else last.task.exit_code if last.task.state in judge.ENDED else None
    code = "" if exit_code is None else f" with exit code {exit_code}"
    return f"job {service.name} failed{code}"
