"""What can go wrong as an exception: something could not be done or known, and nothing changed. Pure.

A hold, drift, an unhealthy app or a failed deploy are values, not exceptions (see `verdict`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ReconcilerError(Exception):
    """Base of all typed errors."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in one input file; `line` counts from 1, 0 when unknown."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class SpecError(ReconcilerError):
    """The operator's input is wrong; carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(ReconcilerError):
    """A command was called with something that does not exist or makes no sense."""


class ObserveError(ReconcilerError):
    """The world could not be looked at: status UNKNOWN, so nothing is done on it."""


class IngressAwayError(ObserveError):
    """What takes connections for an app is not there, so nothing could be learnt of the app."""


class ActError(ReconcilerError):
    """A change could not be made. `host_fault`: the host, not the app, is to blame.

    `permanent`: it will not go away by itself (no such image), unlike a registry that is offline.
    """

    def __init__(self, message: str, *, host_fault: bool = False, permanent: bool = False) -> None:
        self.host_fault = host_fault
        self.permanent = permanent
        super().__init__(message)


class StateError(ReconcilerError):
    """One of our own records is unreadable, torn, newer than we know or not ours: refuse and alert."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class RecipeError(ReconcilerError):
    """A recipe could not be fetched, read or rendered."""


class LockBusy(ReconcilerError):  # noqa: N818 - "LockBusyError" says it twice
    """Another process holds the lock; `holder` tells which, as far as the record says."""

    def __init__(self, path: str, holder: str, message: str = "") -> None:
        self.path = path
        self.holder = holder
        super().__init__(message or f"lock {path} is held by {holder}")


class Interrupted(ReconcilerError):  # noqa: N818 - it is a request, not an error
    """We were asked to stop (SIGTERM); the journal stays and the next start resumes."""


class DeadlineError(ReconcilerError):
    """A run took longer than it may; what it made is torn down."""
