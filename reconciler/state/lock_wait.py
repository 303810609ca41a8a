"""Waiting for what somebody else holds. Effects: pauses."""

from collections.abc import Callable
from typing import TypeVar

from reconciler.model.errors import LockBusy
from reconciler.ports import Clock

R = TypeVar("R")


def until_free(clock: Clock, wait_s: float, poll_s: float, take: Callable[[], R]) -> R:
    """Try `take` until nobody is in the way any more.

    Raises:
        LockBusy: after `wait_s` seconds somebody still is.
        Interrupted: asked to stop while waiting.
    """
    deadline = clock.monotonic() + wait_s
    while True:
        try:
            return take()
        except LockBusy:
            if clock.monotonic() >= deadline:
                raise
            clock.wait(poll_s)
