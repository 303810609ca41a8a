"""Who holds a lock, for people. Pure."""

from datetime import datetime

from reconciler.model.base import Record


class LockHolder(Record):
    """Who holds a lock; information only, the kernel's flock is the truth."""

    what: str
    pid: int
    since: datetime
