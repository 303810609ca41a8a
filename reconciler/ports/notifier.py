"""The service manager, as a Protocol. Pure."""

from typing import Protocol


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
