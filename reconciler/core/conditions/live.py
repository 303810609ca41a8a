"""Conditions of one app that a pass finds. Pure. `core.live.standing` says when they are over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.conditions.condition import Condition
from reconciler.model.alert import Severity
from reconciler.model.hold import HoldReason


@dataclass(frozen=True, kw_only=True)
class Held(Condition):
    """A release waits for a human. `waits_for`: what would clear it."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    hold: HoldReason
    version: str
    waits_for: str = ""

    @property
    def reason(self) -> str:
        """`held-` and the first reason of the gate."""
        return f"held-{self.hold}"

    @property
    def clears_when(self) -> str:
        """As the holds say."""
        return self.waits_for

    @property
    def key(self) -> tuple[str, ...]:
        """One per version."""
        return (self.version,)


UNHEALTHY = "unhealthy"
_CLEARS: Mapping[str, str] = {
    UNHEALTHY: "the app answers again",
    "unmanaged": "what runs is just what a release of the recipe would be here and answers, or it is undeployed",
    "no-release": "the recipe has an annotated tag that the spec's track takes",
    "rollback-refused": "the way back is whole again (ci-warm preflight tells), or the app answers again",
    "unknown": "the engine can be asked again",
    "held-volumes-changed": "the volumes are there again: restored, or made empty by hand (docker volume create)",
    "held-stack-changed": "the spec names the stack of the data again",
    "held-data-newer": "the release that wrote the data, or a newer one, runs again, or older data was put back"
    " (docs/operate.md, newer data)",
    "held-elsewhere": "its tasks run on the node of ci-warm again (docs/operate.md, several nodes)",
}
"""What ends a condition, by the first word of the result line."""


@dataclass(frozen=True, kw_only=True)
class NotWell(Condition):
    """The app is not as it should be, and nothing that a pass may do helps. `kind`: `unhealthy`, `unmanaged`, ...

    The same for a pass that found it so and for a heal that did not help: `version` alone tells two apart.
    """

    kind: str
    version: str

    @property
    def reason(self) -> str:
        """The first word of the result line."""
        return self.kind

    @property
    def clears_when(self) -> str:
        """What is asked in every pass."""
        return _CLEARS.get(self.kind, "a pass ends well")

    @property
    def key(self) -> tuple[str, ...]:
        """One per version that runs."""
        return (self.version,)


@dataclass(frozen=True, kw_only=True)
class RecipeUnreadable(Condition):
    """The recipe cannot be fetched or read."""

    REASON: ClassVar[str] = "recipe"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """The mirror is asked in every pass."""
        return "the recipe can be fetched and read, and has an annotated tag that the spec's track takes"

    @property
    def key(self) -> tuple[str, ...]:
        """One per app; empty, as open alerts have it."""
        return ("",)


@dataclass(frozen=True, kw_only=True)
class TagMoved(Condition):
    """The tag of the release that runs names another commit than the one that was deployed; nothing is done."""

    REASON: ClassVar[str] = "tag-moved"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    version: str
    commit: str

    @property
    def clears_when(self) -> str:
        """Either way, what runs is what its tag says."""
        return f"tag {self.version} names {self.commit[:12]} again, or another release runs"

    @property
    def key(self) -> tuple[str, ...]:
        """One per release that runs, wherever its tag goes."""
        return (self.version, self.commit)


@dataclass(frozen=True, kw_only=True)
class PassFailed(Condition):
    """Something stopped the app's pass. `error_class`: the exception's type name."""

    REASON: ClassVar[str] = "error"

    error_class: str

    @property
    def clears_when(self) -> str:
        """A pass that gets through."""
        return "the next pass gets through"

    @property
    def key(self) -> tuple[str, ...]:
        """One per kind of error."""
        return (self.error_class,)


@dataclass(frozen=True, kw_only=True)
class IngressAway(Condition):
    """A change waits for what takes the app's connections, to learn whether the app answers."""

    REASON: ClassVar[str] = "ingress-away"

    @property
    def clears_when(self) -> str:
        """The change is under way still."""
        return "what takes its connections is up; the change is then gone on with"


@dataclass(frozen=True, kw_only=True)
class RecordUnreadable(Condition):
    """One of our records is torn, newer or foreign."""

    REASON: ClassVar[str] = "state"

    path: str

    @property
    def clears_when(self) -> str:
        """A human's work."""
        return "the file is repaired or removed by a human; a copy lies beside it"

    @property
    def key(self) -> tuple[str, ...]:
        """One per file."""
        return (self.path,)


@dataclass(frozen=True, kw_only=True)
class DrillFailed(Condition):
    """A snapshot would not restore."""

    REASON: ClassVar[str] = "drill"

    snapshot: str

    @property
    def clears_when(self) -> str:
        """Another drill, or another snapshot."""
        return f"a restore drill of {self.app} goes well; the next upgrade makes a new snapshot"

    @property
    def key(self) -> tuple[str, ...]:
        """One per snapshot."""
        return (self.snapshot,)


@dataclass(frozen=True, kw_only=True)
class RemovalFailed(Condition):
    """Something of ours that nothing needs cannot be removed; it stops nothing, but takes room."""

    REASON: ClassVar[str] = "leftover"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    path: str

    @property
    def clears_when(self) -> str:
        """A human's work, or the next change's."""
        return f"{self.path} is gone: end what keeps it (a mount, chattr), then rm -rf it"

    @property
    def key(self) -> tuple[str, ...]:
        """One per path."""
        return (self.path,)
