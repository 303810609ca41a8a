"""What lies on disk: one pydantic model per file, each with `schema_version`. Pure.

Written and read by `adapters.records`, `adapters.alerts`, `adapters.history`; JSON Schemas are made from here.
A newer `schema_version` than we know is refused by the reader, never guessed at.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Json, Record


class Release(Record):
    """A version of a recipe made deployable: `bundle` is the digest of its rendered form on disk."""

    version: str
    commit: str
    bundle: str
    images: dict[str, str] = Field(default_factory=dict, description="service -> image, pinned")


class Fallback(Record):
    """The way back from known-good; `snapshot` is None for stateless apps."""

    release: Release
    snapshot: str | None = None
    desired: str = Field("", description="digest of the settings it was rendered with")


class KnownGood(Record):
    """`known_good.json`: what passed the gate, settled and answered; moves in one rename."""

    schema_version: Literal[1] = 1
    app: str
    stack: str = Field("", description="the stack that its data belongs to")
    release: Release
    fallback: Fallback | None = None
    services: dict[str, str] = Field(default_factory=dict, description="service -> fingerprint as settled")
    desired: str = Field("", description="digest of the settings that rendering depends on")
    at: datetime


class TagSeen(Record):
    """Our own first sight of a tag: where it pointed, when, and what its images were."""

    commit: str
    first_seen: datetime
    images: dict[str, str] = Field(default_factory=dict, description="image as asked -> digest first seen")


class Quarantine(Record):
    """A release that failed here, exactly: not tried again until one of the three changes."""

    version: str
    commit: str
    desired: str
    reason: str
    at: datetime


class Approval(Record):
    """An operator's word that opens major, manual-migration and cooldown for one version, once."""

    version: str
    reason: str
    actor: str
    at: datetime
    used_at: datetime | None = None


class Suspension(Record):
    """No upgrades until `until`; None = until resumed."""

    reason: str
    actor: str
    at: datetime
    until: datetime | None = None


class HostFaults(Record):
    """Consecutive host faults; decides the back-off, never quarantines."""

    count: int
    last_at: datetime
    reason: str


class Memory(Record):
    """`memory.json`: first-seen tags, quarantine, approvals, suspension, host faults."""

    schema_version: Literal[1] = 1
    app: str
    tags: dict[str, TagSeen] = Field(default_factory=dict)
    quarantine: tuple[Quarantine, ...] = ()
    approvals: tuple[Approval, ...] = ()
    suspension: Suspension | None = None
    host_faults: HostFaults | None = None


class Change(StrEnum):
    """What kind of change a journal is about."""

    DEPLOY = "deploy"
    HEAL = "heal"
    UPGRADE = "upgrade"
    ROLLBACK = "rollback"


class Step(StrEnum):
    """One step of a transaction; on disk it means "this is about to be done"."""

    OPENED = "opened"
    UNDEPLOY = "undeploy"
    QUIESCE = "quiesce"
    SNAPSHOT = "snapshot"
    DEPLOY = "deploy"
    SETTLE = "settle"
    VERIFY = "verify"
    COMMIT = "commit"
    BACK_UNDEPLOY = "back-undeploy"
    BACK_QUIESCE = "back-quiesce"
    BACK_RESTORE = "back-restore"
    BACK_DEPLOY = "back-deploy"
    BACK_SETTLE = "back-settle"
    BACK_VERIFY = "back-verify"
    RECORD = "record"


class Mark(Record):
    """A service before our write: what settle must see move."""

    version_index: int
    update_started_at: str = ""


class Failure(Record):
    """Why the forward way ended."""

    step: Step
    reason: str
    evidence: tuple[str, ...] = ()
    fault: Literal["app", "host"] = "app"


class Journal(Record):
    """`journal.json`: exists only while a change is under way. `step` is intent, the world says what happened.

    `resumes` counts restarts, before acting. `stalled`: a human is asked, nothing is done until `retry`.
    """

    schema_version: Literal[1] = 1
    op_id: str
    app: str
    stack: str
    kind: Change
    stateful: bool
    origin: Release | None = None
    target: Release
    desired: str
    origin_desired: str = ""
    volumes: tuple[str, ...] = Field((), description="volumes of origin and target together")
    step: Step = Step.OPENED
    started_at: datetime
    actor: str = "reconcile"
    snapshot: str | None = Field(None, description="id of the snapshot that a way back restores")
    snapshot_first: bool = False
    reason: str = ""
    marks: dict[str, Mark] = Field(default_factory=dict)
    old_tasks: tuple[str, ...] = Field((), description="tasks that were there before our write")
    phases: dict[str, float] = Field(default_factory=dict, description="seconds per step")
    failure: Failure | None = None
    back_failure: Failure | None = None
    settled_services: dict[str, str] = Field(default_factory=dict)
    resumes: int = 0
    stalled: bool = False


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


class ArchivedVolume(Record):
    """One volume in a snapshot. `index_sha256` seals the entries file, `sha256` the archive."""

    volume: str
    driver: str
    archive: str
    archive_bytes: int
    sha256: str
    index: str
    index_sha256: str
    entries: int
    data_bytes: int
    empty: bool
    sockets: tuple[str, ...] = Field((), description="paths of sockets: listed, not archived")


class SnapshotManifest(Record):
    """`snapshot/manifest.json`: what the snapshot is of, and the seals of its parts."""

    schema_version: Literal[1] = 1
    id: str
    app: str
    stack: str
    version: str
    commit: str
    images: dict[str, str]
    node: str
    created_at: datetime
    op_id: str
    volumes: tuple[ArchivedVolume, ...]


class Drill(Record):
    """`drill.json`: the last time that a snapshot was restored for practice, and what was wrong."""

    schema_version: Literal[1] = 1
    app: str
    snapshot: str
    at: datetime
    problems: tuple[str, ...] = ()


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


class Wish(Record):
    """`requests/<name>.json`: what somebody without privileges asks for; the daemon judges it.

    `reconcile`: look at `app` (None = all) now, and fetch its recipe first.
    """

    schema_version: Literal[1] = 1
    action: Literal["reconcile"]
    app: str | None = None
    by: str = ""


class SweepItem(Record):
    """One part of a sweep. `result`: done, skipped, failed."""

    name: str
    result: Literal["done", "skipped", "failed"]
    detail: str = ""
    elapsed_seconds: float = 0.0


class Sweep(Record):
    """`sweeps/<date>.json`: one night, kept up to date while it runs. `finished_at` None: it did not end."""

    schema_version: Literal[1] = 1
    date: str
    started_at: datetime
    finished_at: datetime | None = None
    result: Literal["running", "done", "failed"] = "running"
    items: tuple[SweepItem, ...] = ()
    apps: tuple[AppStatus, ...] = ()


class LockHolder(Record):
    """Who holds a lock; information only, the kernel's flock is the truth."""

    what: str
    pid: int
    since: datetime


class Bundle(Record):
    """`<app>/releases/<id>.json`: a release rendered into one compose document, deployable without git or network.

    `files`: content of recipe files that configs and secrets refer to, base64, by the name used in `doc`.
    `asked`: images as the recipe wrote them, `images` as pinned. `volumes`: compose key -> engine volume name.
    """

    schema_version: Literal[1] = 1
    id: str
    app: str
    stack: str
    version: str
    commit: str
    domain: str = ""
    health: Json = Field(default_factory=dict, description="how this release is probed, as the spec said it then")
    doc: Json
    files: dict[str, str] = Field(default_factory=dict)
    asked: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    volumes: dict[str, str] = Field(default_factory=dict)
    external_volumes: tuple[str, ...] = ()
    secrets: dict[str, str] = Field(default_factory=dict, description="external secrets: key -> engine name")


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
}
"""Every file format we promise, by the name of its JSON Schema."""
