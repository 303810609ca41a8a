"""`sweeps/<date>.json`: one night. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.published import AppStatus


class SweepItem(Record):
    """One part of a sweep. `result`: done, skipped, failed."""

    name: str
    result: Literal["done", "skipped", "failed"]
    detail: str = ""
    elapsed_seconds: float = 0.0
    run: str = Field("", description="the cold run, in runs/")


class Sweep(Record):
    """`sweeps/<date>.json`: one night, kept up to date while it runs. `finished_at` None: it did not end."""

    schema_version: Literal[1] = 1
    date: str
    started_at: datetime
    finished_at: datetime | None = None
    result: Literal["running", "done", "failed", "skipped"] = "running"
    items: tuple[SweepItem, ...] = ()
    apps: tuple[AppStatus, ...] = ()
