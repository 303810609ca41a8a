"""What happened to the engine and its nodes: times in which tasks fail without being at fault. Pure.

Observed by the engine adapters and while watching; kept in `disturbances.json` by `state.disturbances`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


@dataclass(frozen=True, kw_only=True)
class NodeObs:
    """One node of the Swarm. `started_at`: when its engine started; None: not known, as of every other node's.

    `attributes`: by the name that placement constraints have for them (`node.role`, `node.labels.X`, ...); {}: the
    engine tells none. `plugins`: drivers that it has, as (`Log`, `Volume` or `Network`, name).
    """

    id: str
    name: str = ""
    started_at: datetime | None = None
    takes_tasks: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)
    plugins: frozenset[tuple[str, str]] = frozenset()


class Disturbance(Record):
    """A stretch of time after which an engine's tasks are no witnesses. `node_id` '': all nodes."""

    began: datetime
    ended: datetime
    what: str
    node_id: str = ""


class Disturbances(Record):
    """`disturbances.json` in the state root: what was noticed of the engine, the oldest first."""

    schema_version: Literal[1] = 1
    seen: tuple[Disturbance, ...] = Field((), description="the last 100")
