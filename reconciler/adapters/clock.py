"""Real time. Effects: waits; a wait ends early, as `Interrupted`, when a stop is requested."""

import contextlib
import os
import select
import time
from datetime import UTC, datetime

from typing_extensions import override

from reconciler.model.errors import Interrupted
from reconciler.ports.clock import Clock, Stop


class StopFlag(Stop):
    """Set in signal handlers, so without a lock that the interrupted code may be holding."""

    def __init__(self) -> None:
        self._set = False
        self._urgent = False
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __del__(self) -> None:
        for fd in (self._reader, self._writer):
            with contextlib.suppress(OSError):
                os.close(fd)

    @override
    def set(self) -> None:
        """Wake every waiter, now and from now on. The second call makes it urgent."""
        self._urgent = self._set
        self._set = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"1")

    @override
    def is_set(self) -> bool:
        """Whether a stop was requested."""
        return self._set

    def is_urgent(self) -> bool:
        """Whether it was requested more than once: what can be done again is given up then."""
        return self._urgent

    @override
    def wait(self, seconds: float) -> bool:
        """Pause; True as soon as a stop is requested."""
        if self._set or seconds <= 0:
            return self._set
        line = select.poll()
        line.register(self._reader, select.POLLIN)
        # No waiter reads the pipe empty, so all of them wake.
        line.poll(seconds * 1000)
        return self._set


class SystemClock(Clock):
    """The wall clock and the monotonic one."""

    def __init__(self) -> None:
        self.stop = StopFlag()

    @override
    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)

    @override
    def monotonic(self) -> float:
        """Seconds; never jumps."""
        return time.monotonic()

    def check_urgent(self) -> None:
        """Called in the middle of long steps that may be given up and done again.

        Raises:
            Interrupted: a stop was requested twice.
        """
        if self.stop.is_urgent():
            raise Interrupted("asked to stop, again")

    @override
    def wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("asked to stop")
