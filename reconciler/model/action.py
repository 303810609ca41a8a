"""What to do next: a closed union of actions, and how one ended. Pure."""

from dataclasses import dataclass, field

from reconciler.model.hold import Hold
from reconciler.model.ids import AppName, OpId
from reconciler.model.result import Result


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Leave the world alone; `result` is what the pass ends with, `evidence` what speaks for it."""

    result: Result
    ok: bool = True
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """Bring up an app that is absent.

    `snapshot_first`: its volumes exist, and nothing is known-good; `found_data`: and no record says what wrote them.
    """

    target: str
    known_good: bool
    snapshot_first: bool = False
    found_data: bool = False


@dataclass(frozen=True, kw_only=True)
class Heal:
    """Redeploy the same release because the world moved; data untouched."""

    drift: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """Take a newer release, or the same release with changed settings (`reconfigure`)."""

    origin: str
    target: str
    reconfigure: bool = False


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Go back to the fallback, data and version together."""

    origin: str
    target: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Record what runs, healthy and labelled, as known-good; touches nothing."""

    version: str


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Finish what a crash or a stop left behind."""

    op_id: OpId


Action = Nothing | Deploy | Heal | Upgrade | RollBack | Adopt | Resume


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The one next action for an app and every reason to wait with it; acted on only if `holds` is empty."""

    action: Action
    holds: tuple[Hold, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an app's pass ended. `changed`: something was done to the world or to known-good."""

    app: AppName
    result: Result
    ok: bool = True
    changed: bool = False
    stops_train: bool = False
    evidence: tuple[str, ...] = ()
    op_id: OpId | None = None
    holds: tuple[Hold, ...] = field(default=())
