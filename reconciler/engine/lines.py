"""Amounts as log lines: a few, and none for what is over soon. Effects: through what it is given."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.core import pace
from reconciler.model.moved import Amount

EVERY_S = 10.0
Say = Callable[[Amount, pace.Words], None]


@dataclass
class _Watched:
    """One thing under way. `due`: when its next line may come."""

    doing: str
    first: pace.Pace
    last: pace.Pace
    due: float


class Lines:
    """Called with every amount, from any thread. `first_s`: what takes less is not told.

    Each app has at most one line in ten seconds, however many parts its work has.
    """

    def __init__(self, say: Say, monotonic: Callable[[], float], first_s: float = EVERY_S) -> None:
        self._say = say
        self._monotonic = monotonic
        self._first_s = first_s
        self._watched: dict[str, _Watched] = {}
        self._quiet_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def tell(self, amount: Amount) -> None:
        """Say it if it is time to."""
        with self._lock:
            words = self._words_if_due(amount, self._monotonic())
        if words is not None:
            self._say(amount, words)

    def _words_if_due(self, amount: Amount, now: float) -> pace.Words | None:
        if amount.over:
            self._watched.pop(amount.app, None)
            return None
        known = self._watched.get(amount.app)
        if known is None or known.doing != amount.doing:
            # Never later than the longest pause, or a clock that was set back would silence it.
            quiet_until = min(self._quiet_until.get(amount.app, now), now + EVERY_S)
            due = max(now + self._first_s, quiet_until)
            first = pace.begin(amount.done, now)
            self._watched[amount.app] = _Watched(doing=amount.doing, first=first, last=first, due=due)
            return None
        known.last = pace.follow_amount(known.first, known.last, amount, now)
        known.due = min(known.due, now + EVERY_S)
        if now < known.due:
            return None
        known.due = self._quiet_until[amount.app] = now + EVERY_S
        return pace.describe(amount, known.last)


def fields(words: pace.Words) -> dict[str, str]:
    """What a log line has beside app and doing; what is not known is left out."""
    found = {"done": words.done, "of": words.of, "rate": words.rate, "left": words.left}
    return {name: text for name, text in found.items() if text}
