"""Tasks that Swarm waits with for a host port that no task has any more. Pure.

Seen on Engine 20.10: a service that is created while tasks of its removed predecessor still end waits with "host-mode
port already in use", and now and then its scheduler never looks at it again. Any change to the service wakes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.observed import ServiceObs, StackObs

_WORDS = "host-mode port already in use"
PATIENCE_S = 2.0
"""A port that was just freed is given away within a second, the scheduler's longest pause."""


@dataclass(frozen=True, kw_only=True)
class WaitProgress:
    """Since when each service, by id, waits for ports that are free; monotonic seconds."""

    since: Mapping[str, float]


NOTHING = WaitProgress(since={})


def waiting(stack: StackObs) -> tuple[ServiceObs, ...]:
    """Services that have no task on a node, and one that waits for a host port."""
    return tuple(service for service in stack.services if _waits(service, stack))


def _waits(service: ServiceObs, stack: StackObs) -> bool:
    wanted = [task for task in stack.tasks_of(service) if task.desired_state in ("running", "ready")]
    # All of them pending: one that runs shows that the service is not forgotten.
    return any(_WORDS in task.error for task in wanted) and all(task.state == "pending" for task in wanted)


def free(stack: StackObs, taken: frozenset[int] | None) -> tuple[ServiceObs, ...]:
    """Those of `waiting` whose ports are free. `taken` None: it cannot be told, so none."""
    if taken is None:
        return ()
    return tuple(service for service in waiting(stack) if service.host_ports and not service.host_ports & taken)


def step(
    state: WaitProgress, stack: StackObs, taken: frozenset[int] | None, at: float
) -> tuple[WaitProgress, tuple[str, ...]]:
    """Feed one look; gives the short names of services to wake, each once per `PATIENCE_S`."""
    here = free(stack, taken)
    since = {service.id: state.since.get(service.id, at) for service in here}
    late = {service.id for service in here if at - since[service.id] >= PATIENCE_S}
    names = tuple(service.name for service in here if service.id in late)
    # A service that was just woken starts its patience anew, or it would be woken at every look.
    return WaitProgress(since={key: began for key, began in since.items() if key not in late}), names
