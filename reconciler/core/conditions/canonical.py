"""Conditions of a canonical: of its snapshot and of the run that should have become it. Pure."""

from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.conditions.condition import Condition
from reconciler.model.alert import Severity


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
