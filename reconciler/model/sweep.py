"""`sweeps/<date>.json`: one night. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.published import AppStatus


class ItemOutcome(StrEnum):
    """How one part of a sweep ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class SweepOutcome(StrEnum):
    """How a night ended; `running` also of one that was killed."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class SweepItem(Record):
    """One part of a sweep. `result`: done, skipped, failed."""

    name: str
    result: ItemOutcome
    detail: str = ""
    elapsed_seconds: float = 0.0
    run: str = Field("", description="the cold run, in runs/")


class Sweep(Record):
    """`sweeps/<date>.json`: one night, kept up to date while it runs. `finished_at` None: it did not end."""

    schema_version: Literal[1] = 1
    date: str
    started_at: datetime
    finished_at: datetime | None = None
    result: SweepOutcome = SweepOutcome.RUNNING
    items: tuple[SweepItem, ...] = ()
    apps: tuple[AppStatus, ...] = ()
