"""Fetches recipes beside the daemon's loop: a forge that hangs keeps no app's healing waiting. Effects: fetches.

The loop asks for recipes by their URLs; what could not be fetched is kept by URL until the next try.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from reconciler import logs
from reconciler.engine.host import fetch
from reconciler.engine.host.desired import Desired

_FIRST_FETCH_S = 5.0

log = logs.Log()


class Fetcher:
    """`state`: the desired state of now. `done` is called, in the fetcher's thread, after each round."""

    def __init__(self, state: Callable[[], Desired], done: Callable[[], None]) -> None:
        self.problems: Mapping[str, str] = {}
        self._state = state
        self._done = done
        self._wanted: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
        self._fetched = threading.Event()

    def ask(self, urls: Sequence[str] = ()) -> None:
        """Ask for these recipes, or for all; safe in any thread."""
        self._wanted.put(tuple(urls))

    def begin_anew(self) -> None:
        """Ask for everything, and let `wait_a_moment` wait for it."""
        self._fetched.clear()
        self.ask()

    def wait_a_moment(self) -> None:
        """Give a first fetch a moment: without it new apps would raise alerts that clear themselves.

        Only a moment: a forge that hangs must not keep an interrupted change waiting.
        """
        self._fetched.wait(_FIRST_FETCH_S)

    def run(self) -> None:
        """Fetch what is asked for, for ever; everything that was asked for meanwhile is one round."""
        while True:
            wanted = {self._wanted.get()}
            while not self._wanted.empty():
                wanted.add(self._wanted.get())
            # Asked for anew each round: a reload may have changed the specs meanwhile.
            state = self._state()
            everything = [spec.recipe.url for spec in state.specs]
            urls = everything if () in wanted else sorted({url for some in wanted for url in some})
            try:
                problems = fetch.fetch_all(state.ports, urls)
                kept = {url: text for url, text in self.problems.items() if url not in urls}
                self.problems = {**kept, **problems}
            except Exception as exc:  # noqa: BLE001 - the next fetch must come whatever this one met
                log.error("failed", what="fetch", error=f"{type(exc).__name__}: {exc}")
            self._fetched.set()
            self._done()
