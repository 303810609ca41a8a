"""What a process without privileges asks for, and what came of it. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from reconciler.model.base import Record

REQUEST_ID = r"[0-9a-f]{32}"
TEAM = r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$"
"""A team of a forge: its organisation, and its name there."""
COMMIT = r"[0-9a-f]{40}([0-9a-f]{24})?"


class ForgePlace(Record):
    """Where a forge is to be answered: a pull request by its repository (`owner/name`) and number."""

    # Not \w: pydantic counts a hundred times every letter of Unicode, which costs 18 MiB and 0.08 s at each start.
    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")
    number: int = Field(gt=0, lt=10**9)


class Asked(StrEnum):
    """What can be asked for.

    `reconcile`: look at the app (None = all) now, and fetch its recipe first. `seed`: warm the canonical. `test`: what
    `comment` asks for (`!testme`, `!testme --quick`), for the canonical at `ref`; `stop`: no longer test that ref;
    `tell`: answer `forge` with `reason`, which is why nothing is tested. The rest is what the commands of that name do;
    `preflight` and `plan` give a document.
    """

    RECONCILE = "reconcile"
    SEED = "seed"
    TEST = "test"
    STOP = "stop"
    TELL = "tell"
    APPROVE = "approve"
    RETRY = "retry"
    SUSPEND = "suspend"
    RESUME = "resume"
    PREFLIGHT = "preflight"
    PLAN = "plan"
    ROLLBACK = "rollback"
    UNDEPLOY = "undeploy"


class Request(Record):
    """`requests/<name>.json`: what a process without privileges asks for; the daemon judges it.

    `id`: under which the reply is published; '': nobody waits for one.
    """

    schema_version: Literal[1] = 1
    action: Asked
    app: str | None = None
    ref: str | None = Field(None, max_length=200)
    comment: str = Field("", max_length=4096)
    version: str = Field("", max_length=200, description="of approve, and where a rollback leads")
    reason: str = Field("", max_length=1000, description="of what a human decides; goes on record")
    until: str = Field("", max_length=40, description="of suspend: a time or a duration; '' = until resumed")
    by: str = Field("", max_length=200)
    forge: ForgePlace | None = None
    member: str = Field("", max_length=200, description="login that may ask only if the forge finds it in a team")
    head: str = Field(
        "", pattern=rf"^({COMMIT})?$", description="of test and stop: the commit that the forge saw at ref"
    )
    id: str = Field("", pattern=rf"^({REQUEST_ID})?$")


class ReplyOutcome(StrEnum):
    """How a request ended. `busy`: the app is being worked on, so that asking again may help.

    `refused`: nothing was begun; `failed`: it was begun or asked for, and did not succeed.
    """

    DONE = "done"
    REFUSED = "refused"
    BUSY = "busy"
    FAILED = "failed"


class Reply(Record):
    """`replies/<id>.json`: what came of a request. `text`: for people.

    `document`: what `preflight --json` or a row of `plan --json` has.
    """

    schema_version: Literal[1] = 1
    id: str = Field(pattern=rf"^{REQUEST_ID}$")
    action: Asked
    app: str | None = None
    outcome: ReplyOutcome
    text: str
    document: dict[str, Any] | None = None
    at: datetime
