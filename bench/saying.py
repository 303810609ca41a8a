"""How a figure is taken and said."""

import sys
import time
from collections.abc import Callable

REPEATS = 3


def say(name: str, value: str, goal: str = "") -> None:
    sys.stdout.write(f"{name:58s} {value:>24s}   {goal}\n")
    sys.stdout.flush()


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began
