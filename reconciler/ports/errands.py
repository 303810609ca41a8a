"""Commands of ours that run beside the daemon's loop, as a Protocol. Pure."""

from collections.abc import Callable
from typing import Protocol

from reconciler.model.errand import Errand, ErrandEnd


class Errands(Protocol):
    """Runs errands for those who left requests."""

    def begin(self, errand: Errand, done: Callable[[ErrandEnd], None]) -> bool:
        """Begin one; False: too many are under way. `done` is called in another thread, once. OSError: no process."""

    def stop(self) -> None:
        """Ask all to end at their next safe step, and wait a while for that."""
