"""How a figure is taken and said."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from reconciler.model.snapshot import SnapshotManifest

REPEATS = 3
MANIFEST = SnapshotManifest(
    id="s",
    app="bench",
    stack="s",
    version="1",
    commit="",
    images={},
    node="",
    op_id="s",
    volumes=(),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
"""Whose snapshots are taken for practice."""


def say(name: str, value: str, goal: str = "") -> None:
    sys.stdout.write(f"{name:58s} {value:>24s}   {goal}\n")
    sys.stdout.flush()


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began
