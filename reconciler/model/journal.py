"""A change under way: its steps, and what each left for the next. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.release import Release
from reconciler.model.settling import Fault


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


class ServiceMark(Record):
    """A service before our write: what settle must see move."""

    version_index: int
    update_started_at: str = ""


class Failure(Record):
    """Why the forward way ended."""

    step: Step
    reason: str
    evidence: tuple[str, ...] = ()
    fault: Fault = Fault.APP


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
    found_data: bool = Field(False, description="its volumes were there before, and no record says who wrote them")
    remarks: tuple[str, ...] = Field((), description="checks that are not required and failed")
    unseen_stop: bool = Field(False, description="how the app ended is not known: we were stopped meanwhile")
    killed: tuple[str, ...] = Field((), description="services that did not end within their grace and were killed")
    bake_s: float | None = Field(None, description="seconds of the bake watch after its commit, as the spec said")
    reason: str = ""
    sent: bool = Field(False, description="the target may have been handed to the engine")
    marks: dict[str, ServiceMark] = Field(default_factory=dict)
    old_tasks: tuple[str, ...] = Field((), description="tasks that were there before our write")
    phases: dict[str, float] = Field(default_factory=dict, description="seconds per step")
    failure: Failure | None = None
    back_failure: Failure | None = None
    settled_services: dict[str, str] = Field(default_factory=dict)
    log: str = Field("", description="where the last words of the failed release's containers are, if they are")
    resumes: int = 0
    stalled: bool = False
