"""Waiting in tests for what another process or thread brings about."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait for a condition; gives its first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"did not come true within {seconds} s: {what or condition}"
        time.sleep(0.02)
