"""What every part of the engine is given. Holds nothing of its own."""

from dataclasses import dataclass

from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec, HealthSpec
from reconciler.model.ids import AppName, StackName
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.release import Bundle
from reconciler.model.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Context:
    """One app in one pass."""

    ports: Ports
    settings: Settings
    spec: AppSpec
    actor: str = "reconcile"

    @property
    def app(self) -> AppName:
        """The app's name."""
        return self.spec.app

    @property
    def stack(self) -> StackName:
        """The app's stack."""
        return self.spec.stack_name


@dataclass(frozen=True, kw_only=True)
class Work:
    """One step of one transaction: the context and the journal as it stands on disk."""

    context: Context
    journal: Journal
    journaled: bool = True
    """Whether the journal is on disk; a test run's is not: what it made is torn down, never resumed."""

    def note(self, updates: dict[str, object]) -> None:
        """Write something down before an effect that a resumed step must know."""
        if self.journaled:
            self.ports.store.put_journal(self.journal.model_copy(update=updates))

    @property
    def ports(self) -> Ports:
        """Everything outside."""
        return self.context.ports

    @property
    def stack(self) -> StackName:
        """The stack that the journal is about."""
        return StackName(self.journal.stack)

    def bundle(self, *, prior: bool) -> Bundle:
        """The release to deploy: the candidate, or the prior one on the way back."""
        release = self.journal.origin if prior and self.journal.origin else self.journal.target
        return self.ports.store.bundle(AppName(self.journal.app), release.bundle)

    def probing(self, bundle: Bundle) -> tuple[str, HealthSpec]:
        """Domain and health settings to judge a release by: those it was rendered with.

        The spec may have moved on since the journal was opened. A heal is judged by the spec of today.
        """
        if self.journal.kind is Change.HEAL or not bundle.health:
            return self.context.spec.domain, self.context.spec.health
        return bundle.domain, HealthSpec.model_validate(bundle.health)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that succeeded, with what it adds to the journal."""

    updates: dict[str, object]


StepResult = Done | Failure
DONE = Done(updates={})


def failed(step: Step, reason: str, *evidence: str, host: bool = False) -> Failure:
    """A step that failed, as a value."""
    return Failure(
        step=step,
        reason=_plain(reason)[:500],
        evidence=tuple(_plain(text)[:2000] for text in evidence if text),
        fault="host" if host else "app",
    )


def _plain(text: str) -> str:
    """Text that can go into any record: file names may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
