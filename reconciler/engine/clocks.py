"""Clocks that end a run at its deadline, or that nothing ends. Effects: pauses."""

import time
from dataclasses import dataclass, replace
from datetime import datetime

from typing_extensions import override

from reconciler.engine.ports import Ports
from reconciler.model.errors import (
    DeadlineError,
    Interrupted,
)
from reconciler.ports.clock import Clock


@dataclass(frozen=True)
class LimitedClock(Clock):
    """A clock whose pauses end the run when its time is over; everything that takes long pauses."""

    clock: Clock
    until: float
    seconds: float

    @classmethod
    def of(cls, clock: Clock, seconds: float) -> "LimitedClock":
        """From now on, so many seconds."""
        return cls(clock, clock.monotonic() + seconds, seconds)

    @override
    def now(self) -> datetime:
        return self.clock.now()

    @override
    def monotonic(self) -> float:
        return self.clock.monotonic()

    def left(self) -> float:
        """Seconds until the end, at least a little: for what has a deadline of its own."""
        return max(0.1, self.until - self.clock.monotonic())

    @override
    def wait(self, seconds: float) -> None:
        """Pause, if there is time left.

        Raises:
            DeadlineError: the time is over.
        """
        if self.clock.monotonic() >= self.until:
            raise DeadlineError(f"the run took longer than its deadline of {self.seconds:g} s")
        self.clock.wait(min(seconds, self.left()))


@dataclass(frozen=True)
class UnstoppableClock(Clock):
    """A clock for what must be finished: neither a request to stop nor a deadline ends its pauses."""

    clock: Clock

    @override
    def now(self) -> datetime:
        return self.clock.now()

    @override
    def monotonic(self) -> float:
        return self.clock.monotonic()

    @override
    def wait(self, seconds: float) -> None:
        """Never raises."""
        try:
            self.clock.wait(seconds)
        except (Interrupted, DeadlineError):
            # The clock below no longer pauses; the caller looks again after this, and has a patience of its own.
            time.sleep(seconds)


def unstoppable(ports: Ports) -> Ports:
    """Ports whose pauses no request to stop ends."""
    return replace(ports, clock=UnstoppableClock(ports.clock))
