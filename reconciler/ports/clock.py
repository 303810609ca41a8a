"""Time, and a request to stop, as Protocols. Pure."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds; never jumps."""

    def wait(self, seconds: float) -> None:
        """Pause between polls.

        Raises:
            Interrupted: a stop was requested.
        """


class Stop(Protocol):
    """A request to stop, which may come from a signal handler."""

    def set(self) -> None:
        """Ask for it."""

    def is_set(self) -> bool:
        """Whether it was asked for."""

    def wait(self, seconds: float) -> bool:
        """Pause; True as soon as it is asked for."""
