"""What every condition has: its fingerprint and its alert. Pure. The only place where an alert is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from reconciler.model.alert import Alert, Severity
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
class HostCondition(Condition):
    """About the machine, not about an app."""

    app: str = HOST
