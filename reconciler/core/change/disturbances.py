"""What happened to the engine and its nodes, by one look and by what is on record. Pure.

Called by the judge, and by those that look, which keep it in `disturbances.json`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reconciler.model.disturbance import Disturbance
from reconciler.model.observed import StackObs

BEFORE_S = 15.0
"""dockerd stops its containers before it goes, and waits this long for them."""
AFTER_S = 30.0
"""After a restart everything starts at once, and an app may fail until what it needs is up."""
SAME_S = 120.0
"""Looks at one long disturbance are not further apart than this."""


def notice(stack: StackObs, now: datetime) -> tuple[Disturbance, ...]:
    """What one look shows of the engine's life: its start, and nodes that take no tasks at this moment."""
    away = (
        Disturbance(began=now, ended=now, node_id=node.id, what="the node took no tasks")
        for node in stack.nodes
        if not node.takes_tasks
    )
    return (*_list_starts(stack), *away)


def merge(known: Sequence[Disturbance], found: Sequence[Disturbance]) -> tuple[Disturbance, ...]:
    """Add what was noticed to what is known, the oldest first; what goes on is one, however often it was seen."""
    merged = list(known)
    for one in found:
        same = next((number for number, other in enumerate(merged) if _is_same(other, one)), None)
        if same is None:
            merged.append(one)
        elif merged[same].ended < one.ended:
            merged[same] = merged[same].model_copy(update={"ended": one.ended})
    return tuple(sorted(merged, key=lambda one: one.began))


def _is_same(known: Disturbance, found: Disturbance) -> bool:
    # Measured from the end of what is known: a drain is seen again and again, at every look.
    gap = (found.began - known.ended).total_seconds()
    return (known.node_id, known.what) == (found.node_id, found.what) and gap <= SAME_S and found.began >= known.began


def _list_all(stack: StackObs) -> tuple[Disturbance, ...]:
    """What is on record, and what this very look shows: pure callers need no file for that."""
    return (*stack.disturbances, *_list_starts(stack))


def _list_starts(stack: StackObs) -> tuple[Disturbance, ...]:
    return tuple(
        Disturbance(began=node.started_at, ended=node.started_at, node_id=node.id, what="the engine was started")
        for node in stack.nodes
        if node.started_at is not None
    )


def find_last(stack: StackObs, node_id: str = "") -> datetime | None:
    """When a node, or any, was last disturbed; None: never, as far as is known."""
    mine = [one.ended for one in _list_all(stack) if not one.node_id or not node_id or one.node_id == node_id]
    return max(mine, default=None)


def find(stack: StackObs, at: datetime, node_id: str) -> Disturbance | None:
    """The disturbance that a failure on this node at this time belongs to, None if there is none."""
    for found in _list_all(stack):
        # A disturbance without a node was of the engine that is asked, and so of everything that it tells.
        mine = not found.node_id or not node_id or found.node_id == node_id
        if mine and found.began - timedelta(seconds=BEFORE_S) <= at <= found.ended + timedelta(seconds=AFTER_S):
            return found
    return None
