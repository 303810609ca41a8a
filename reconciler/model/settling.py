"""What watching Swarm came to, and whose fault a failure is. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whom a failure is laid on.

    The release (quarantined, its data taken back), the host (waited for, backed off, told), or unknown, which is
    treated like the host: only what is known to be the release's may cost it anything.
    """

    APP = "app"
    HOST = "host"
    UNKNOWN = "unknown"


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
    """It will not come to what was asked for; `reason` is short and stable, `evidence` has the details.

    `service`: whose tasks failed, by short name; '' if it is not about one.
    """

    reason: str
    evidence: tuple[str, ...] = ()
    fault: Fault = Fault.APP
    service: str = ""


Settling = Moving | Settled | Failed
