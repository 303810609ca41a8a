"""Which test of those that wait begins next: one per head, and no app before another that waits. Effects: none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.model.ids import AppName
from reconciler.model.testrun import RunMode

_TESTS = frozenset(str(mode) for mode in RunMode)
Words = tuple[str, ...]
"""Of the command line, without what differs between two who ask for the same."""


@dataclass(kw_only=True)
class RunQueue:
    """`most`: how many wait or run at once; `side_by_side`: how many of them are processes; `of_one_app`: of those."""

    most: int
    side_by_side: int
    of_one_app: int
    _waiting: dict[Words, tuple[AppName, list[str]]] = field(default_factory=dict)

    def add(self, words: Words, app: AppName, request: str, running: Sequence[Words]) -> bool:
        """Let one wait; False: there is no room. The same that waits already is the same; `running`: those begun."""
        if words not in self._waiting:
            if len(self._waiting) + len(running) >= self.most:
                return False
            self._waiting[words] = (app, [])
        if request:
            self._waiting[words][1].append(request)
        return True

    def take(self, running: dict[Words, AppName]) -> tuple[Words, AppName, Sequence[str]] | None:
        """The next to begin, None: none now. What runs comes again when it has ended: its ref may have moved."""
        if len(running) >= self.side_by_side:
            return None
        count = Counter(running.values())
        free = [
            (count[app], number, words)
            for number, (words, (app, _)) in enumerate(self._waiting.items())
            if words not in running and count[app] < self.of_one_app
        ]
        if not free:
            return None
        words = min(free)[2]  # of the app that has the fewest; of several the one that waits longest
        app, requests = self._waiting.pop(words)
        return words, app, requests

    def drop(self, app: AppName, ref: str | None, spare: str) -> int:
        """Forget tests of an app's ref, but for those at the commit to `spare`; how many."""
        gone = [words for words, (of, _) in self._waiting.items() if of == app and is_meant(words, ref, spare)]
        for words in gone:
            del self._waiting[words]
        return len(gone)


def is_meant(words: Words, ref: str | None, spare: str) -> bool:
    """Say whether these are a test's words that name that ref (None: the latest release), and not what to `spare`."""
    if words[0] not in _TESTS:
        return False
    named = dict(zip(words[2::2], words[3::2], strict=True))  # after mode and app
    return named.get("--ref") == ref and (not spare or named.get("--at") != spare)
