"""Records of test runs and of canonicals: one pydantic model per file, each with `schema_version`. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.trial import Stage


class Mode(StrEnum):
    """How a run tests: from nothing, or on the canonical's data."""

    COLD = "cold"
    QUICK = "quick"


class Result(StrEnum):
    """How a run ended. `partial`: nothing red, but the upgrade could not be tried; `error`: the host is to blame."""

    RUNNING = "running"
    GREEN = "green"
    RED = "red"
    PARTIAL = "partial"
    ERROR = "error"
    ABORTED = "aborted"
    DIED = "died"


class Source(Record):
    """A commit of a recipe. `kind` release: the peeled commit of the annotated tag `version`."""

    version: str
    commit: str
    kind: Literal["release", "ref"]
    name: str = Field("", description="as it was asked for, or where it came from")


class CheckResult(Record):
    """One check. `detail`: why it failed, in words."""

    name: str
    passed: bool
    required: bool = True
    detail: str = ""
    elapsed_seconds: float = 0.0


class StageResult(Record):
    """One stage. `skipped`: declared, with the reason; `not-run`: not asked for, or an earlier one failed."""

    stage: Stage
    result: Literal["passed", "failed", "skipped", "not-run", "error"]
    reason: str = ""
    cause: Literal["", "broken-base", "earlier-stage"] = Field("", description="why it was left out, for programs")
    evidence: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    elapsed_seconds: float = 0.0


class Run(Record):
    """`runs/<run>/run.json`: on disk before anything of the run exists, kept up to date, final after teardown."""

    schema_version: Literal[1] = 1
    run: str
    mode: Mode
    confidence: Literal["full", "lower"]
    app: str
    recipe: str
    stack: str
    domain: str
    asked: tuple[Stage, ...]
    head: Source
    base: Source | None = None
    base_reason: str = ""
    realm: str = ""
    actor: str = ""
    started_at: datetime
    finished_at: datetime | None = None
    elapsed_seconds: float = 0.0
    result: Result = Result.RUNNING
    level: int = 0
    level_cap: int = Field(0, description="what the stages that ran could reach")
    stages: tuple[StageResult, ...] = ()
    version_before: str = ""
    version_after: str = ""
    deploys: int = 0
    deploys_expected: int = 0
    notes: tuple[str, ...] = ()
    promoted: bool = False
    promotion: str = Field("", description="why it was promoted or not")
    torn_down: bool = False
    kept_until: datetime | None = Field(None, description="--keep-on-failure: not torn down before")
    leftovers: tuple[str, ...] = ()


class Canonical(Record):
    """`<app>/canonical.json`: the known-good release of a canonical and the snapshot that belongs to it.

    It moves by promotion alone, in one rename; whether it is in use or dirty is seen, not recorded here.
    """

    schema_version: Literal[1] = 1
    app: str
    recipe: str
    stack: str
    version: str
    commit: str
    images: dict[str, str] = Field(default_factory=dict, description="service -> image, pinned")
    volumes: tuple[str, ...] = Field((), description="engine names of its volumes")
    status: Literal["idle"] = "idle"
    snapshot: str | None = Field(None, description="None: the recipe has no data")
    ts: datetime


class Promotion(Record):
    """`<app>/promotion.json`: the canonical that is about to be; exists only while a promotion is under way."""

    schema_version: Literal[1] = 1
    app: str
    run: str
    candidate: Canonical


class Use(Record):
    """`<app>/use.json`: since when a canonical's volumes may differ from its snapshot, and because of whom.

    `by` manual: `canonical deploy`, whose data stays as it is; else the run that must not leave it so.
    """

    schema_version: Literal[1] = 1
    app: str
    by: str
    since: datetime


class InFlight(Record):
    """`<app>/inflight.json`: a seeding run was asked for; asks no second time for 15 minutes, then 30, up to 8 h."""

    schema_version: Literal[1] = 1
    key: str
    at: datetime
    asked: int = Field(1, description="times in a row; the mark of a recipe that is red again and again lives longer")


class Green(Record):
    """One version that passed a full cold run here."""

    version: str
    commit: str
    kind: Literal["release", "ref"]
    run: str
    at: datetime


class Greens(Record):
    """`green/<recipe>.json`: what passed, by recipe; `last` is where the next upgrade test starts."""

    schema_version: Literal[1] = 1
    recipe: str
    releases: dict[str, Green] = Field(default_factory=dict)
    last: Green | None = None
    images: dict[str, str] = Field(
        default_factory=dict, description="as asked -> pinned: what tests brought here, so that gc knows it for ours"
    )
