"""What every part of the engine is given. Holds nothing of its own."""

from dataclasses import dataclass

from reconciler.model.ids import AppName, StackName
from reconciler.model.records import Bundle, Failure, Journal, Step
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec
from reconciler.ports import Ports


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


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that succeeded, with what it adds to the journal."""

    updates: dict[str, object]


StepResult = Done | Failure
DONE = Done(updates={})


def failed(step: Step, reason: str, *evidence: str, host: bool = False) -> Failure:
    """A step that failed, as a value."""
    return Failure(
        step=step, reason=reason[:500], evidence=tuple(text[:2000] for text in evidence if text),
        fault="host" if host else "app",
    )  # fmt: skip
