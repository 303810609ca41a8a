"""A plan that was saved, to be done later just as it was shown or not at all. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class PlannedStep(Record):
    """What was to be done with one app. `rests_on`: a digest of each thing that must be as it was."""

    app: str
    action: str
    to_version: str | None = Field(None, alias="to")
    rests_on: dict[str, str]


class PlanFile(Record):
    """`plan --out FILE`, for `reconcile --plan FILE`."""

    schema_version: Literal[1] = 1
    at: datetime
    by: str
    apps: tuple[PlannedStep, ...] = Field(min_length=1)
