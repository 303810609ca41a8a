"""The engine's event stream, as a hint that something happened. Effects: one long request at a time.

A stream that ends, breaks, hangs or skips costs nothing but time: the daemon looks on its own clock too.
"""

import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.errors import ObserveError
from reconciler.ports.events import Events

WINDOW_S = 60
"""The engine is asked to end each stream after this, so that one which hangs is told from one that is quiet."""
_SLACK_S = 15
_SHORTEST_S = 0.2
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
_FILTERS = {
    "type": ["service", "container", "node"],
    "event": ["create", "update", "remove", "die", "oom", "health_status", "start"],
}


class SwarmEvents(Events):
    """Only what concerns services, their containers and nodes wakes the daemon."""

    def __init__(self, host: str | None, *, window_s: int = WINDOW_S, slack_s: int = _SLACK_S) -> None:
        self._client = SwarmClient(host, window_s + slack_s)
        self._window_s = window_s
        self.streams = 0

    @override
    def follow(self, wake: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        failures = 0
        # Each stream begins where the one before began: an event that is told twice costs a look, one that is
        # missed would wait for the timer.
        since = time.time()
        while not stopped():
            began = time.time()
            try:
                self._one_stream(since, wake, stopped)
                failures = 0
                if time.time() - began < _SHORTEST_S:  # the engine's clock is far ahead of ours
                    self._pause(_PAUSES_S[-1], stopped)
            except ObserveError:
                failures += 1
                self._pause(_PAUSES_S[min(failures, len(_PAUSES_S)) - 1], stopped)
                wake("the event stream broke")  # what happened meanwhile is unknown
            since = began

    def _pause(self, seconds: float, stopped: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not stopped() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _one_stream(self, since: float, wake: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        self.streams += 1
        until = int(time.time()) + self._window_s
        stream = self._client.events(since=int(since), until=until, filters=_FILTERS)
        for event in stream:
            if stopped():
                return
            text = _concerns(event)
            if text:
                wake(text)


def _concerns(event: Any) -> str:
    """A word about an event that may change what an app is; '' for the others."""
    kind, action = event.get("Type", ""), event.get("Action", "")
    names = (event.get("Actor") or {}).get("Attributes") or {}
    # A container of no stack (a pin, a build) changes no app; a busy builder would keep the daemon looking.
    if kind == "container" and "com.docker.stack.namespace" not in names:
        return ""
    return f"{kind} {names.get('com.docker.swarm.service.name') or names.get('name', '')} {action}"
