"""What only the long-lived daemon needs from outside, as Protocols. Pure."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.errors import Problem
from reconciler.model.ids import AppName
from reconciler.model.reports import Wish
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec
from reconciler.ports import Events, Ports


class Notifier(Protocol):
    """The service manager."""

    watchdog_s: float | None
    """How often it wants a sign of life, in seconds; None = it does not watch."""

    def ready(self, text: str) -> None:
        """Started, or reloaded."""

    def status(self, text: str) -> None:
        """What is being done, for whom."""

    def reloading(self, monotonic_s: float) -> None:
        """A reload begins; `ready` ends it."""

    def stopping(self, text: str) -> None:
        """A stop begins."""

    def alive(self) -> None:
        """A sign of life."""

    def extend(self, seconds: float) -> None:
        """Ask for that much more time, counted from now."""


class Spool(Protocol):
    """`requests/`: wishes of people and programs without privileges."""

    def stamp(self) -> Hashable:
        """Moves when something was put in."""

    def take(self) -> Sequence[Wish]:
        """Every wish that can be read, taken out; what cannot be read is set aside with the reason."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    """Desired state as it can be used now, and everything that acts on it.

    `problems`: mistakes in the operator's files; what they concern is as it was before. `by_file`: specs by their file.
    `stamp`: what the files were stamped with before they were read.
    """

    settings: Settings
    specs: tuple[AppSpec, ...]
    by_file: Mapping[str, AppSpec]
    ports: Ports
    events: Events
    stamp: Hashable = None
    problems: tuple[Problem, ...] = field(default=())


class DesiredState(Protocol):
    """The operator's files."""

    def stamp(self) -> Hashable:
        """Moves when one of them changed."""

    def load(self, before: Desired | None) -> Desired:
        """Read them all. With `before` mistakes are reported, not raised.

        Raises:
            SpecError: the settings cannot be used, and there is no `before`.
            StateError: the state root is not safe to use.
        """


class Telemetry(Protocol):
    """Where figures go."""

    def passed(self, elapsed_s: float) -> None:
        """A pass came to its end."""

    def failed(self) -> None:
        """A pass threw."""

    def realms(self, count: int) -> None:
        """How many realms the shared single sign-on has."""

    def publish(self) -> None:
        """Write the figures where a scraper of files finds them, if that is wanted."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A test run that ended without a report. `why`: its command line and how it ended, in words."""

    app: AppName
    why: str


class Starter(Protocol):
    """Starts test runs; False: too many are there already."""

    def seed(self, app: AppName) -> bool:
        """Warm a canonical, if it is still cold when its turn comes."""

    def test(self, app: AppName, mode: str, ref: str | None) -> bool:
        """A cold or quick run, at once or after one of the same kind that is under way."""

    def tend(self) -> Sequence[Lost]:
        """Note who has ended, and start what waited for that; gives who ended without a report, each once."""

    def stop(self) -> None:
        """Ask all to end."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One file system, in bytes. `percent` counts what ordinary users may not use as used, as df(1) does."""

    path: str
    used: int
    free: int
    percent: int


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part that readiness depends on. `error_class`: the exception's type name; both empty when it is fine."""

    name: str
    status: str
    error: str = ""
    error_class: str = ""


Check = Callable[[], str]
"""Says in a few words that a part is fine, or raises what is wrong with it."""
