"""What is: the status of one app and the reason for it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.settling import Fault


class Status(StrEnum):
    """The situation of an app, before anything is decided."""

    IN_SYNC = "in-sync"
    OUT_OF_SYNC = "out-of-sync"
    DRIFTED = "drifted"
    ABSENT = "absent"
    UNMANAGED = "unmanaged"
    INTERRUPTED = "interrupted"
    UNVERIFIED = "unverified"
    FAILED = "failed"
    UNKNOWN = "unknown"
    IDLE = "idle"


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Status with the one reason for it and the evidence that led there.

    `fault`: whose it is that a FAILED app is; only APP means that the release itself keeps failing.
    """

    status: Status
    reason: str
    evidence: tuple[str, ...] = ()
    fault: Fault = Fault.UNKNOWN
