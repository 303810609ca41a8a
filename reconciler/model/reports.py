"""What is published for people and programs: alerts, history, status, reports; and what they may put in. Pure.

Each file has `schema_version`; a newer one than we know is refused by the reader. Schemas are made from `DOCUMENTS`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Json, Record
from reconciler.model.records import Bundle, Journal, KnownGood, Memory, SnapshotManifest
from reconciler.model.runs import Canonical, Greens, InFlight, Promotion, Run, Use


class LockHolder(Record):
    """Who holds a lock; information only, the kernel's flock is the truth."""

    what: str
    pid: int
    since: datetime


class Wish(Record):
    """`requests/<name>.json`: what somebody without privileges asks for; the daemon judges it.

    `reconcile`: look at `app` (None = all) now, and fetch its recipe first. `seed`: warm the canonical `app`.
    `test`: what `comment` asks for (`!testme`, `!testme --quick`), for the canonical `app` at `ref`.
    """

    schema_version: Literal[1] = 1
    action: Literal["reconcile", "seed", "test"]
    app: str | None = None
    ref: str | None = Field(None, max_length=200)
    comment: str = Field("", max_length=4096)
    by: str = ""


class HistoryLine(Record):
    """One line of `history.jsonl` per terminal outcome, keyed by `op_id`."""

    schema_version: Literal[1] = 1
    ts: datetime
    op_id: str
    app: str
    action: str
    from_version: str | None = Field(None, alias="from")
    to_version: str | None = Field(None, alias="to")
    commit: str | None = None
    result: str
    elapsed_seconds: float
    phases: dict[str, float] = Field(default_factory=dict)
    actor: str
    message: str = ""


class Severity(StrEnum):
    """How loudly an alert speaks."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(Record):
    """`alerts/<UTC stamp>-<app>-<reason>.json`: one per condition; same fingerprint updates `last_at`, `count`.

    `attempted`, `last_good`, `recovered` are set on rollbacks.
    """

    schema_version: Literal[1] = 1
    app: str
    reason: str
    severity: Severity
    from_version: str | None = Field(None, alias="from")
    to_version: str | None = Field(None, alias="to")
    notes: dict[str, str] = Field(default_factory=dict, description="version -> release notes stepped over")
    evidence: tuple[str, ...] = ()
    clears_when: str = ""
    fingerprint: str
    first_at: datetime
    last_at: datetime
    count: int = 1
    attempted: str | None = None
    last_good: str | None = None
    recovered: bool | None = None
    op_id: str | None = None
    resolution: str | None = Field(None, description="set when it moves to seen/: acknowledged or resolved")


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


class Drill(Record):
    """`drill.json`: the last time that a snapshot was restored for practice, and what was wrong."""

    schema_version: Literal[1] = 1
    app: str
    snapshot: str
    at: datetime
    problems: tuple[str, ...] = ()


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


DOCUMENTS: dict[str, type[Record]] = {
    "known_good": KnownGood,
    "memory": Memory,
    "journal": Journal,
    "history_line": HistoryLine,
    "alert": Alert,
    "snapshot_manifest": SnapshotManifest,
    "status": StatusReport,
    "bundle": Bundle,
    "lock_holder": LockHolder,
    "wish": Wish,
    "drill": Drill,
    "sweep": Sweep,
    "run": Run,
    "canonical": Canonical,
    "promotion": Promotion,
    "use": Use,
    "inflight": InFlight,
    "green": Greens,
}
"""Every file format we promise, by the name of its JSON Schema."""
