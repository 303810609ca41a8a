"""Records of canonicals: one pydantic model per file, each with `schema_version`. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


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
