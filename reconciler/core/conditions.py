"""Every condition that people are told about: one small class each, and nowhere else is a fingerprint made. Pure.

A condition is what stands, not what happened: found again, by whatever path, it has the same fingerprint and so one
alert. Times, durations and counts are never part of it. `live.standing` says when a live app's condition is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from reconciler.model.alert import Alert, Severity
from reconciler.model.hold import HoldReason
from reconciler.model.ids import HOST

_MOST_EVIDENCE = 20


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is not as it should be. `app`: whom it is about, `HOST` for the machine itself."""

    REASON: ClassVar[str] = ""
    SEVERITY: ClassVar[Severity] = Severity.CRITICAL

    app: str

    @property
    def reason(self) -> str:
        """The word in the alert's file name, as in docs/alerts.md."""
        return self.REASON

    @property
    def clears_when(self) -> str:
        """What ends the condition, for people."""
        raise NotImplementedError

    @property
    def key(self) -> tuple[str, ...]:
        """What tells this condition from others of its reason."""
        return ()

    @property
    def fingerprint(self) -> str:
        """The identity of the condition."""
        return "|".join((self.app, self.reason, *self.key))

    def alert(
        self,
        now: datetime,
        evidence: Sequence[str],
        *,
        origin: str | None = None,
        target: str | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Alert:
        """The alert of this condition. `origin`, `target`: the versions that run and that it is about."""
        return Alert(
            app=self.app,
            reason=self.reason,
            severity=self.SEVERITY,
            from_version=origin,
            to_version=target,
            notes=dict(notes or {}),
            evidence=tuple(evidence)[:_MOST_EVIDENCE],
            clears_when=self.clears_when,
            fingerprint=self.fingerprint,
            first_at=now,
            last_at=now,
        )


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
        return "the app answers again"

    @property
    def key(self) -> tuple[str, ...]:
        """One per version that runs."""
        return (self.version,)


UNHEALTHY = "unhealthy"


@dataclass(frozen=True, kw_only=True)
class RecipeUnreadable(Condition):
    """The recipe cannot be fetched or read."""

    REASON: ClassVar[str] = "recipe"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """The mirror is asked in every pass."""
        return "the recipe can be fetched and read again"

    @property
    def key(self) -> tuple[str, ...]:
        """One per app; empty, as open alerts have it."""
        return ("",)


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
class _OfRelease(Condition):
    """Something about one release, exactly."""

    version: str
    commit: str

    @property
    def key(self) -> tuple[str, ...]:
        """A tag that moved is another release."""
        return (self.version, self.commit)

    @property
    def _retry(self) -> str:
        return f"a newer release is published, the spec changes, or ci-warm retry {self.app}"


@dataclass(frozen=True, kw_only=True)
class ReleaseRolledBack(_OfRelease):
    """The release failed; the version before runs, with its data."""

    REASON: ClassVar[str] = "rollback"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """Until then it is in quarantine."""
        return self._retry


@dataclass(frozen=True, kw_only=True)
class FirstDeployFailed(_OfRelease):
    """There is nothing to go back to."""

    REASON: ClassVar[str] = "deploy-failed"

    @property
    def clears_when(self) -> str:
        """Until then it is in quarantine."""
        return self._retry


@dataclass(frozen=True, kw_only=True)
class RollbackFailed(_OfRelease):
    """The version before does not come back either."""

    REASON: ClassVar[str] = "rollback-failed"

    @property
    def clears_when(self) -> str:
        """The app answers, whatever runs."""
        return f"the app is healthy again; see ci-warm explain {self.app}"


@dataclass(frozen=True, kw_only=True)
class ChangeAborted(_OfRelease):
    """A change was stopped before the new release was tried."""

    REASON: ClassVar[str] = "aborted"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """It is tried again by itself."""
        return "the next attempt ends well"


@dataclass(frozen=True, kw_only=True)
class ChangeStalled(Condition):
    """A change did not end in its allowed number of restarts."""

    REASON: ClassVar[str] = "stalled"

    op_id: str

    @property
    def clears_when(self) -> str:
        """Only a human ends it."""
        return f"the cause is gone and somebody says ci-warm retry {self.app}"

    @property
    def key(self) -> tuple[str, ...]:
        """One per operation."""
        return (self.op_id,)


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


@dataclass(frozen=True, kw_only=True)
class RestoreFailed(Condition):
    """A canonical's snapshot does not restore, so it is not lent."""

    REASON: ClassVar[str] = "restore-failed"

    @property
    def clears_when(self) -> str:
        """A restore or a new snapshot."""
        return f"the snapshot restores, or ci-warm canonical seed {self.app} makes a new one"

    @property
    def key(self) -> tuple[str, ...]:
        """One per canonical; empty, as open alerts have it."""
        return ("",)


@dataclass(frozen=True, kw_only=True)
class PromotionFailed(Condition):
    """A green run could not become the canonical."""

    REASON: ClassVar[str] = "promotion"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """The next promotion."""
        return "a green run is promoted; the canonical before it stands as it was"


@dataclass(frozen=True, kw_only=True)
class RunLost(Condition):
    """A test run ended without a report, so nobody would ever hear of it."""

    REASON: ClassVar[str] = "run-lost"

    @property
    def clears_when(self) -> str:
        """Any run of the app that comes as far as its report."""
        return f"a test run of {self.app} begins, as by ci-warm cold {self.app}"

    @property
    def key(self) -> tuple[str, ...]:
        """One per app; empty, as open alerts have it."""
        return ("",)


@dataclass(frozen=True, kw_only=True)
class HostCondition(Condition):
    """About the machine, not about an app."""

    app: str = HOST


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
class StateDiskFull(HostCondition):
    """The disk of the state root is full: records go into the reserve, and that ends. `root`: where it lies."""

    REASON: ClassVar[str] = "state-disk"

    root: str

    @property
    def clears_when(self) -> str:
        """Every pass tries to fill the reserve again."""
        return f"there is room on the disk of {self.root} again; ci-warm gc removes images that nothing needs"


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
class RunLeftovers(HostCondition):
    """Something of a test run cannot be removed."""

    REASON: ClassVar[str] = "run-leftovers"
    SEVERITY: ClassVar[Severity] = Severity.WARNING

    @property
    def clears_when(self) -> str:
        """The reaper tries again by itself, too."""
        return "ci-warm runs reap removes them"

    @property
    def key(self) -> tuple[str, ...]:
        """One for all runs; empty, as open alerts have it."""
        return ("",)


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
    """A change is under way for an app that is no longer declared: nobody would ever finish it."""

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
