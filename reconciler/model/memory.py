"""What an app's past teaches: first-seen tags, quarantine, approvals, suspension, host faults. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


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


class PauseScope(StrEnum):
    """What a suspension holds: new releases, whatever would start something, or an app that was taken down."""

    RELEASES = "releases"
    ALL = "all"
    DOWN = "down"


class Suspension(Record):
    """No upgrades until `until`; None = until resumed."""

    reason: str
    actor: str
    at: datetime
    until: datetime | None = None
    scope: PauseScope = PauseScope.RELEASES


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
