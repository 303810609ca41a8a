"""What people must be told. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class Severity(StrEnum):
    """How loudly an alert speaks."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(Record):
    """`alerts/<UTC stamp>-<app>-<reason>.json`: one per condition, known by its fingerprint.

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
    count: int = Field(1, description="in how many passes it was found")
    told: int | None = Field(None, description="how often it was news: found, a new detail, a reminder")
    told_at: datetime | None = Field(None, description="when it was news last")
    attempted: str | None = None
    last_good: str | None = None
    recovered: bool | None = None
    op_id: str | None = None
    resolution: str | None = Field(None, description="set when it moves to seen/: acknowledged or resolved")
