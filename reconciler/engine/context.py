"""What every part of the engine is given. Holds nothing of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.health import HealthSpec
from reconciler.model.ids import AppName, StackName
from reconciler.model.journal import Failure, ServiceMark, Step
from reconciler.model.settings import Limits, Settings
from reconciler.model.settling import Fault


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
class StepContext:
    """What every step of a change is given: whose stack it is, and the step that a failure is reported at.

    `app` is who the records belong to; a test run's stack has another name than its app's.
    """

    ports: Ports
    limits: Limits
    app: AppName
    stack: StackName
    step: Step

    def fail(self, reason: str, *evidence: str, host: bool = False) -> Failure:
        """This step failed, as a value."""
        return failed(self.step, reason, *evidence, host=host)

    def fail_by(self, fault: Fault, reason: str, *evidence: str) -> Failure:
        """This step failed by this fault, as a value."""
        return failed(self.step, reason, *evidence).model_copy(update={"fault": fault})

    def tell(self, text: str) -> None:
        """Say on the terminal, if there is one, what is being done."""
        self.ports.progress(self.app, text)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Where and how a release is asked whether it is well."""

    domain: str
    health: HealthSpec


@dataclass(frozen=True, kw_only=True)
class Before:
    """What stood before a deploy: settling must see it move. `old_tasks`: ids of tasks that are not the deploy's."""

    marks: Mapping[str, ServiceMark]
    old_tasks: tuple[str, ...]


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
        fault=Fault.HOST if host else Fault.APP,
    )


def _plain(text: str) -> str:
    """Text that can go into any record: file names may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
