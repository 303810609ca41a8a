"""`status.json`: the published result of the last pass. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Json, Record


class KeptSnapshot(Record):
    """The one snapshot that is kept of an app's data. `bytes`: its archives on disk."""

    id: str
    version: str
    created_at: datetime
    bytes: int


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
    known_good_at: datetime | None = Field(None, description="since when that version is known-good")
    snapshot: KeptSnapshot | None = None
    node: str = Field("", description="names of the nodes that its tasks run on; empty where none does")


class StatusReport(Record):
    """`status.json`: the published result of the last pass."""

    schema_version: Literal[1] = 1
    at: datetime
    elapsed_seconds: float
    engine: str
    apps: tuple[AppStatus, ...]
    by: str = Field("", description="what acted and where: the daemon, or the command of a pass")
