"""What the decisions answer: holds, settling, health. Closed unions, matched fully by callers. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class HoldReason(StrEnum):
    """Why an upgrade waits; the text goes into result lines (`held-<reason>`) and alert file names."""

    MAJOR = "major"
    MANUAL_MIGRATION = "manual-migration"
    COOLDOWN = "cooldown"
    UNTESTED = "untested"
    WINDOW = "window"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"
    TAG_MOVED = "tag-moved"
    APP_VERSION_UNCLEAR = "app-version-unclear"
    VOLUMES_CHANGED = "volumes-changed"
    PRIOR_UNHEALTHY = "prior-unhealthy"
    PREFLIGHT = "preflight"
    POLICY = "policy"
    HOST = "host"
    STATE = "state"
    RECIPE = "recipe"
    TRAIN_STOPPED = "train-stopped"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One reason to wait. `detail` may change from pass to pass; `clears_when` tells the operator what to do."""

    reason: HoldReason
    detail: str
    clears_when: str


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


@dataclass(frozen=True, kw_only=True)
class Healthy:
    """The app answered as required, often enough in a row."""

    evidence: str


@dataclass(frozen=True, kw_only=True)
class Unhealthy:
    """The app did not answer as required before the deadline, or a task went away meanwhile."""

    reason: str
    evidence: tuple[str, ...] = ()
    fault: Fault = Fault.APP


Health = Healthy | Unhealthy
