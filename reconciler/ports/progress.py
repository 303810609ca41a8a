"""Who is told how far something that takes long has come, and what counts it. Pure apart from what it is given."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model.moved import Amount, Moved

Tell = Callable[[Amount], None]
"""Called often, and from several threads: whoever shows it chooses what and when. Never raises."""
_EVERY_S = 0.5
_LOOK = 1 << 20
_ENTRY = 16 << 10


def silent(_amount: Amount) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who hears what is done: each step (app, in words), and how far what takes long has come."""

    step: Callable[[str, str], None] = lambda _app, _text: None
    tell: Tell = silent


NOBODY = Listener()


class Meter:
    """Counts the bytes of one thing that is done and tells about twice a second; a block that ends says so.

    Counting may cost nothing where files are small, so the clock is asked once in so many bytes, and a count is taken
    for at least 16 KiB of them.
    """

    def __init__(
        self, tell: Tell, app: str, doing: str, of: int | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._app, self._doing = tell, app, doing
        self._monotonic = monotonic
        self._of = of
        self._done = 0
        self._unseen = 0
        self._due = monotonic()

    def __enter__(self) -> "Meter":
        self._say()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._done = self._of = max(self._done, self._of or 0)
        self._say(over=True)

    def reach(self, done: int) -> None:
        """So many bytes are done now; what was reached before stays."""
        if done > self._done:
            self._unseen += done - self._done
            self._done = done
        self._unseen += _ENTRY
        if self._unseen >= _LOOK:
            self._unseen = 0
            self._look()

    def learn(self, done: int, of: int | None) -> None:
        """So many bytes are done, of so many as is known by now."""
        self._of = of
        self._done = max(self._done, done)
        self._look()

    def _look(self) -> None:
        now = self._monotonic()
        # A clock that went back must not silence it until it has caught up.
        if now >= self._due or now < self._due - _EVERY_S:
            self._due = now + _EVERY_S
            self._say()

    def _say(self, *, over: bool = False) -> None:
        self._tell(Moved(app=self._app, doing=self._doing, done=self._done, of=self._of, over=over))
