"""`status.json`: the published result of the last pass. Pure."""

from datetime import datetime
from typing import Literal

from reconciler.model.base import Json, Record


class AppStatus(Record):
    """One app in `status.json`."""

    app: str
    kind: str
    status: str
    result: str
    known_good: str | None = None
    candidate: str | None = None
    holds: tuple[Json, ...] = ()
    evidence: tuple[str, ...] = ()
    fallback: str | None = None
    at: datetime


class StatusReport(Record):
    """`status.json`: the published result of the last pass."""

    schema_version: Literal[1] = 1
    at: datetime
    elapsed_seconds: float
    engine: str
    apps: tuple[AppStatus, ...]
