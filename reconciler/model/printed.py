"""What commands print with `--json`, where it is no record that lies on disk. Pure.

Each document says its `schema_version`; `ci-warm schema` has a JSON Schema of each.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.alert import Alert
from reconciler.model.base import Record
from reconciler.model.published import AppStatus


class Printed(Record):
    """A document on stdout."""

    schema_version: Literal[1] = 1


class DoubtRow(Record):
    """What was not taken over, and the key of the spec that it is about."""

    key: str
    text: str


class Written(Printed):
    """`init`: the files that it wrote."""

    written: tuple[str, ...]


class DraftFile(Record):
    """One spec that was written, and what could not be taken over into it."""

    app: str
    file: str
    not_taken_over: tuple[DoubtRow, ...]


class Drafts(Printed):
    """`init --from-running`, `import abra`."""

    specs: tuple[DraftFile, ...]


class ProblemRow(Record):
    """A mistake in a file; `line` from 1, 0 if it is not known."""

    file: str
    line: int
    key: str
    message: str


class Validated(Printed):
    """`validate`. `warnings`: rightly written, and will not work as it stands on this host."""

    ok: bool
    apps: tuple[str, ...] = ()
    problems: tuple[ProblemRow, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()


class HoldRow(Record):
    """One reason to wait, and what ends it."""

    reason: str
    detail: str
    clears_when: str


class PassRow(AppStatus):
    """`reconcile`: a row per app."""

    schema_version: Literal[1] = 1


class ChangeRow(Record):
    """What a release changes. `before` '': it is added; `after` '': it goes. No values of variables."""

    kind: str
    name: str
    before: str
    after: str


class PlanLine(Printed):
    """`plan`: a row per app. `result`: of an action that does nothing. `notes`: of releases stepped over."""

    app: str
    status: str
    reason: str
    action: str
    result: str | None
    origin: str | None = Field(alias="from")
    target: str | None = Field(alias="to")
    changes: bool
    holds: tuple[HoldRow, ...]
    images: tuple[str, ...]
    disk_bytes: int
    steps: tuple[str, ...]
    diff: tuple[ChangeRow, ...]
    notes: dict[str, str]


class Explained(Printed):
    """`explain`."""

    app: str
    kind: str
    status: str
    reason: str
    known_good: str | None
    since: str | None
    fallback: str | None
    candidate: str | None
    next: str
    probe: str | None
    holds: tuple[HoldRow, ...]
    approved: tuple[str, ...]
    clear: tuple[str, ...]
    evidence: tuple[str, ...]
    alerts: tuple[str, ...]
    last: tuple[str, ...]


class SnapshotName(Record):
    """Which snapshot it is."""

    id: str
    version: str
    created_at: datetime


class ImageRow(Record):
    """`exists`: null if it could not be asked."""

    of: str
    image: str
    exists: bool | None
    local: bool
    created: str
    error: str


class Preflight(Printed):
    """`preflight`."""

    app: str
    rollback_to: str | None
    snapshot: SnapshotName | None
    images: tuple[ImageRow, ...]
    problems: tuple[str, ...]
    room: str


class Figures(Printed):
    """`history --stats`."""

    counts: dict[str, int]
    mean_seconds: float | None
    p95_seconds: float | None


class AlertRow(Alert):
    """`alerts list`: a row per alert. `name`: of its file."""

    name: str


class AlertTold(Printed):
    """`alerts relay`: keys of what was sent."""

    sent: tuple[str, ...]
    problems: tuple[str, ...]


class Acknowledged(Printed):
    """`alerts ack`."""

    name: str
    app: str
    reason: str


class Approved(Printed):
    """`approve`. `notes`: why it may not do what its giver thinks."""

    app: str
    version: str
    reason: str
    by: str
    at: datetime
    notes: tuple[str, ...]


class Retried(Printed):
    """`retry`: how many releases are out of quarantine."""

    app: str
    forgotten: int


class Suspended(Printed):
    """`suspend`. `until`: null means until resumed; `scope`: releases, or all that would start something."""

    app: str
    reason: str
    by: str
    at: datetime
    until: datetime | None
    scope: str


class Resumed(Printed):
    """`resume`. `resumed`: false if there was nothing to end."""

    app: str
    resumed: bool


class Undeployed(Printed):
    """`undeploy`. `problem`: what is not down yet."""

    app: str
    version: str
    problem: str | None


class RolledBack(Printed):
    """`rollback`."""

    app: str
    result: str
    evidence: tuple[str, ...]
    op_id: str | None


class Verified(Printed):
    """`snapshot verify`."""

    app: str
    ok: bool
    problems: tuple[str, ...]


class Restored(Printed):
    """`snapshot restore`: the data is as in this snapshot."""

    app: str
    snapshot: SnapshotName


class Exported(Printed):
    """`snapshot export`."""

    app: str
    file: str


class Finding(Record):
    """One broken invariant; `note` is no fault."""

    invariant: str
    severity: str
    path: str
    message: str


class Examined(Printed):
    """`doctor`."""

    ok: bool
    findings: tuple[Finding, ...]


class ImageGone(Record):
    """An image that went, or was kept; its size in bytes."""

    id: str
    references: tuple[str, ...]
    size: int
    why: str


class Collected(Printed):
    """`gc`. `skipped`: why nothing was done."""

    dry_run: bool
    skipped: str
    freed_bytes: int
    removed: tuple[ImageGone, ...]
    refused: tuple[ImageGone, ...]


class Reloaded(Printed):
    """`reload`: the daemon that was told, and how many specs are right."""

    pid: int
    specs: int


class LastWords(Printed):
    """`logs`: text by service, secrets masked. `of`, `at`: the release that failed and when; '' of what is there."""

    app: str
    of: str
    at: str
    said: dict[str, str]


class Waited(Printed):
    """`wait`. `version`: known-good, '' if nothing is."""

    app: str
    wanted: str
    reached: bool
    status: str
    reason: str
    version: str
    took_s: float


class Day(Printed):
    """`history --days`: how many outcomes a day (UTC) had, by their first word."""

    date: str
    total: int
    counts: dict[str, int]
