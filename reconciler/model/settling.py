"""What watching Swarm came to, and whose fault a failure is. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whom a failure is laid on: the release (quarantined) or the host (backed off, never quarantined)."""

    APP = "app"
    HOST = "host"


@dataclass(frozen=True, kw_only=True)
class Moving:
    """Swarm has not finished; `waiting_for` says what is still missing."""

    waiting_for: str


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Swarm finished with exactly what was asked for; `task_ids` are the tasks that carry it."""

    task_ids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """It will not come to what was asked for; `reason` is short and stable, `evidence` has the details."""

    reason: str
    evidence: tuple[str, ...] = ()
    fault: Fault = Fault.APP


Settling = Moving | Settled | Failed
