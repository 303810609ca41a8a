"""Records of test runs: one pydantic model per file, each with `schema_version`. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.tests import Stage


class RunMode(StrEnum):
    """How a run tests: from nothing, or on the canonical's data."""

    COLD = "cold"
    QUICK = "quick"


class RunResult(StrEnum):
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


class StageOutcome(StrEnum):
    """How a stage ended. `skipped`: declared, with the reason; `not-run`: not asked for, or an earlier one failed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_RUN = "not-run"
    ERROR = "error"


class SkipCause(StrEnum):
    """Why a stage was left out, for programs."""

    NONE = ""
    BROKEN_BASE = "broken-base"
    EARLIER_STAGE = "earlier-stage"


class StageResult(Record):
    """One stage. `skipped`: declared, with the reason; `not-run`: not asked for, or an earlier one failed."""

    stage: Stage
    result: StageOutcome
    reason: str = ""
    cause: SkipCause = Field(SkipCause.NONE, description="why it was left out, for programs")
    evidence: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    elapsed_seconds: float = 0.0


class Run(Record):
    """`runs/<run>/run.json`: on disk before anything of the run exists, kept up to date, final after teardown."""

    schema_version: Literal[1] = 1
    run: str
    mode: RunMode
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
    requests: tuple[str, ...] = Field((), description="ids of the requests that asked for it")
    started_at: datetime
    finished_at: datetime | None = None
    elapsed_seconds: float = 0.0
    result: RunResult = RunResult.RUNNING
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
