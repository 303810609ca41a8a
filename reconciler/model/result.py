"""How an app's pass or change ended: a kind and what it is about; text only at the edge. Pure.

The text (`upgraded:1.0.0+5.0.0->1.0.1+5.0.1`) is a promise: result lines, history, metrics and scripts have it.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.hold import HoldReason


class ResultKind(StrEnum):
    """The first word of a result line; of a hold its reason follows."""

    NOOP_HEALTHY = "noop-healthy"
    NOOP_IDLE = "noop-idle"
    DEPLOYED = "deployed"
    HEALED = "healed"
    UPGRADED = "upgraded"
    RECONFIGURED = "reconfigured"
    ADOPTED = "adopted"
    CONVERGING = "converging"
    HELD = "held"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_FAILED = "rollback-failed"
    ROLLBACK_REFUSED = "rollback-refused"
    DEPLOY_FAILED = "deploy-failed"
    ABORTED = "aborted"
    STALLED = "stalled"
    UNHEALTHY = "unhealthy"
    UNMANAGED = "unmanaged"
    NO_RELEASE = "no-release"
    RECIPE = "recipe"
    UNKNOWN = "unknown"
    ERROR = "error"
    BUSY = "busy"
    IN_USE = "in-use"
    SEEDING = "seeding"
    RESTORED = "restored"
    RESTORE_FAILED = "restore-failed"


@dataclass(frozen=True, kw_only=True)
class Result:
    """`about`: the version, or the one that it started from; `to`: where it went. `hold`: of a hold only."""

    kind: ResultKind
    about: str = ""
    to: str = ""
    hold: HoldReason | None = None

    @property
    def word(self) -> str:
        """The first word, as in alerts and metrics."""
        return f"{self.kind}-{self.hold}" if self.hold is not None else str(self.kind)

    def __str__(self) -> str:
        about = f":{self.about}" if self.about else ""
        return f"{self.word}{about}" + (f"->{self.to}" if self.to else "")


def held(reason: HoldReason, origin: str | None = None, target: str | None = None) -> Result:
    """A hold of the release `target`, or of what runs."""
    if origin and target:
        return Result(kind=ResultKind.HELD, hold=reason, about=origin, to=target)
    return Result(kind=ResultKind.HELD, hold=reason, about=target or origin or "")


def word_of(text: str) -> str:
    """The first word of a result line that was written before."""
    return text.partition(":")[0]
