"""Conditions that a change leaves behind. Pure. `core.change.outcome` chooses among them."""

from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.conditions.condition import Condition
from reconciler.model.alert import Severity


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

    waits: bool = False

    @property
    def clears_when(self) -> str:
        """It is tried again by itself, unless it waits for a word about the app as it ran."""
        return self._retry if self.waits else "the next attempt ends well"


@dataclass(frozen=True, kw_only=True)
class ChangeStalled(Condition):
    """A change did not end in its allowed number of restarts."""

    REASON: ClassVar[str] = "stalled"

    op_id: str

    @property
    def clears_when(self) -> str:
        """Only a human ends it."""
        return f"the cause is gone and the operator says ci-warm retry {self.app}"

    @property
    def key(self) -> tuple[str, ...]:
        """One per operation."""
        return (self.op_id,)
