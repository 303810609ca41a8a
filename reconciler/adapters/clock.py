"""Real time. Effects: waits; a wait ends early, as `Interrupted`, when a stop is requested."""

import threading
import time
from datetime import UTC, datetime

from reconciler.model.errors import Interrupted


class SystemClock:
    """`ports.Clock`."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds; never jumps."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """See `ports.Clock`."""
        if self.stop.wait(seconds):
            raise Interrupted("asked to stop")
