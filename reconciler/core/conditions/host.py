"""Conditions of the machine, the operator's files and the daemon's own work. Pure."""

from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.conditions.condition import HostCondition
from reconciler.model.alert import Severity


@dataclass(frozen=True, kw_only=True)
class EngineUnknown(HostCondition):
    """The engine cannot be looked at."""

    REASON: ClassVar[str] = "engine-unknown"

    @property
    def clears_when(self) -> str:
        """It is asked in every pass."""
        return "the engine answers and is a swarm manager"


@dataclass(frozen=True, kw_only=True)
class DiskFull(HostCondition):
    """A file system is too full. `high`: percent."""

    REASON: ClassVar[str] = "disk"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    high: int

    @property
    def clears_when(self) -> str:
        """It is looked at every few minutes."""
        return f"less than {self.high} % is in use; ci-warm gc removes images that nothing needs"


@dataclass(frozen=True, kw_only=True)
class ManyRealms(HostCondition):
    """Keycloak has so many realms that it becomes slow."""

    REASON: ClassVar[str] = "realms"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """They are counted whenever one is made or reaped."""
        return "realms are deleted; ci-warm realm reap removes those of dead runs"


@dataclass(frozen=True, kw_only=True)
class SweepRed(HostCondition):
    """Part of a night went wrong."""

    REASON: ClassVar[str] = "sweep"

    @property
    def clears_when(self) -> str:
        """The next night, or by hand."""
        return "a sweep comes to a good end; ci-warm sweep tries again at once"


@dataclass(frozen=True, kw_only=True)
class SpecWrong(HostCondition):
    """A file of the operator's has mistakes; its app goes on as it was."""

    REASON: ClassVar[str] = "spec"

    file: str

    @property
    def clears_when(self) -> str:
        """It is read whenever it changes."""
        return "the file is right"

    @property
    def key(self) -> tuple[str, ...]:
        """One per file."""
        return (self.file,)


@dataclass(frozen=True, kw_only=True)
class ChangeOrphaned(HostCondition):
    """A change is under way for an app that is no longer declared: no pass would ever finish it."""

    REASON: ClassVar[str] = "orphan"

    owner: str

    @property
    def clears_when(self) -> str:
        """Nothing is done for what is not declared."""
        return f"{self.owner} is declared again until the change is over"

    @property
    def key(self) -> tuple[str, ...]:
        """One per app."""
        return (self.owner,)


@dataclass(frozen=True, kw_only=True)
class TurnFailed(HostCondition):
    """A turn of the daemon's loop went wrong. `turn`: what it was for."""

    turn: str

    @property
    def reason(self) -> str:
        """`pass-failed` and the like."""
        return f"{self.turn}-failed"

    @property
    def clears_when(self) -> str:
        """The next of its kind."""
        return f"the next {self.turn} works"

    @property
    def key(self) -> tuple[str, ...]:
        """One per kind of turn."""
        return (self.turn,)


@dataclass(frozen=True, kw_only=True)
class StateDiskFull(HostCondition):
    """The disk of the state root is full: records go into the reserve, and that ends. `root`: where it lies."""

    REASON: ClassVar[str] = "state-disk"

    root: str

    @property
    def clears_when(self) -> str:
        """Every pass tries to fill the reserve again."""
        return f"there is room on the disk of {self.root} again; ci-warm gc removes images that nothing needs"
