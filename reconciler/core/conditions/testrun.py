"""Conditions that test runs leave behind. Pure."""

from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.conditions.condition import Condition, HostCondition
from reconciler.model.alert import Severity


@dataclass(frozen=True, kw_only=True)
class RunLost(Condition):
    """A test run ended without a report, so no other line tells of it."""

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
