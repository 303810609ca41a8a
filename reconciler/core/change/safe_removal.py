"""When a service may be removed without the engine's crash (docs/adr/0013). Pure.

Swarm deletes a task within 250 ms of its end for good, or when its slot has too many; in that moment its service must
not be removed. `tasks` are one service's, `kept` is how many Swarm keeps of a slot (None: all).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from reconciler.model.observed import NOT_THERE, TaskObs

STEADY_S = 10.0
RESTARTS = 2
"""So many restarts may come between a look and the removal."""


def kept(limit: int, max_attempts: int) -> int | None:
    """How many tasks Swarm keeps: one more than the restarts that a policy counts, else its limit; negative is all."""
    if max_attempts:
        return max_attempts + 1
    return None if limit < 0 else limit


def is_calm(tasks: Sequence[TaskObs], kept: int | None, now: datetime) -> bool:
    """Say whether Swarm deletes no task now, nor will if the service restarts soon, or if it does not restart."""
    # Swarm deletes these within 250 ms of their end: the moment of the crash.
    if any(task.desired_state == "remove" for task in tasks):
        return False
    # Room for the restarts that may come between this look and the removal; a full slot would delete its
    # oldest task.
    if kept is None or all(len(slot) <= kept - RESTARTS for slot in _slots(tasks)):
        return True
    return all(
        task.state == "running" and (now - task.at).total_seconds() >= STEADY_S for task in tasks if _is_wanted(task)
    )


def wanted(tasks: Sequence[TaskObs]) -> bool:
    """Say whether a task has not heard yet that it is to end."""
    return any(map(_is_wanted, tasks))


def being_deleted(tasks: Sequence[TaskObs], kept: int | None) -> bool:
    """Say whether Swarm is to delete a task of a service that was halted."""
    return any(task.desired_state == "remove" for task in tasks) or any(
        kept is not None and len(slot) > kept and any(task.state in NOT_THERE for task in slot)
        for slot in _slots(tasks)
    )


def _is_wanted(task: TaskObs) -> bool:
    return task.desired_state in ("running", "ready")


def _slots(tasks: Sequence[TaskObs]) -> Sequence[Sequence[TaskObs]]:
    slots: defaultdict[str, list[TaskObs]] = defaultdict(list)
    for task in tasks:
        slots[task.slot].append(task)
    return list(slots.values())
