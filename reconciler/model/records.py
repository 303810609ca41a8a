"""What we keep per app: one pydantic model per file, each with `schema_version`. Pure.

Written and read by `adapters.records` and the snapshots; what is published for people and programs is in `reports`.
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

    @property
    def release(self) -> Release:
        """The bundle as other records refer to it."""
        return Release(version=self.version, commit=self.commit, bundle=self.id, images=self.images)
