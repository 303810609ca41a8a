"""One kernel lock per app: freed however its holder dies. Effects: `locks/<app>.lock`, never unlinked."""

import errno
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from reconciler.model.errors import LockBusy, StateError
from reconciler.model.ids import AppName, RealmName, RunName, is_name
from reconciler.model.lock import LockHolder
from reconciler.ports.clock import Clock
from reconciler.state import files

R = TypeVar("R")
LockOwner = AppName | RunName | RealmName
_RECORD_BYTES = 511


class HeldLock:
    """A lock we hold; close-on-exec, so no child inherits it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Let go; twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass
class HeldLocks:
    """Locks that are let go together."""

    locks: list[HeldLock]

    def release(self) -> None:
        """Let all go; twice is fine."""
        for lock in self.locks:
            lock.release()


class Locks:
    """One lock per app, and the host-wide ones. The record inside is information; the flock is the truth."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self._now = now

    def path(self, owner: LockOwner) -> Path:
        """The lock file of an app, a run or a realm."""
        if not is_name(owner):
            raise StateError(owner, "is not a name that a lock can have")
        return self.folder / f"{owner}.lock"

    def acquire(self, owner: LockOwner, what: str) -> HeldLock:
        """Never waits.

        Raises:
            LockBusy: another process holds it.
        """
        return self._take(self.path(owner), what)

    def turn(self, name: Literal["daemon", "sweep", "upgrade"], what: str) -> HeldLock:
        """One of the host-wide locks: of the daemon, the sweep, and the one for upgrades of live apps. Never waits.

        Raises:
            LockBusy: another process holds it.

        These lie beside the folder of the apps' locks, where no app's name can meet theirs.
        """
        return self._take(self.folder.parent / f"{name}.lock", what)

    def slot(self, count: int, what: str) -> HeldLock:
        """One of the host-wide `count` places for tests. Never waits.

        Raises:
            LockBusy: all are taken.
        """
        for number in range(count):
            try:
                return self._take(self._slot(number), what)
            except LockBusy as exc:
                busy = exc
        raise busy

    def all_slots(self, count: int, what: str) -> "HeldLocks":
        """Every place for tests, so that none is in flight. Never waits.

        Raises:
            LockBusy: a test is in flight.

        Those of a larger count, too: it may have been lowered while tests ran.
        """
        numbers = {*range(count), *(int(path.stem[5:]) for path in self.folder.parent.glob("test-*.lock"))}
        held = HeldLocks([])
        try:
            # In one order everywhere, and without waiting, so that two processes that take all places cannot
            # block each other.
            for number in sorted(numbers):
                held.locks.append(self._take(self._slot(number), what))
        except LockBusy:
            held.release()
            raise
        return held

    def _slot(self, number: int) -> Path:
        return self.folder.parent / f"test-{number}.lock"

    def _take(self, path: Path, what: str) -> HeldLock:
        # The file is never unlinked: a process that waits on the old inode and one that made a new file would
        # both hold "the" lock.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            # flock and not fcntl locks: those are lost as soon as the process closes any descriptor of the
            # file.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            # The record may be of a holder before, or half written; it only makes the message better.
            holder = describe(os.pread(fd, 4096, 0))
            os.close(fd)
            raise LockBusy(str(path), holder) from exc
        record = LockHolder(what=what, pid=os.getpid(), since=self._now())
        try:
            # Always as long: truncating costs more than all the rest of a quiet app's pass.
            os.pwrite(fd, record.model_dump_json().encode().ljust(_RECORD_BYTES) + b"\n", 0)
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):  # the record is information; the lock holds without it
                os.close(fd)
                raise
        return HeldLock(fd)


def holder_pid(path: Path) -> int | None:
    """The process that holds a lock; None if there is none.

    Raises:
        StateError: there is one that left no readable name.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StateError(str(path), f"cannot be asked: {exc.strerror}") from exc
    try:
        # Shared, so that two processes that ask at once do not take each other for the holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return LockHolder.model_validate_json(os.pread(fd, 4096, 0)).pid
        except ValueError as exc:
            raise StateError(str(path), "is held by a process that left no name") from exc
    finally:
        os.close(fd)
    return None


def describe(raw: bytes) -> str:
    """The holder in words."""
    try:
        holder = LockHolder.model_validate_json(raw)
    except ValueError:
        return "a process that left no name"
    return f"{holder.what} (pid {holder.pid}, since {holder.since:%Y-%m-%d %H:%M:%S} UTC)"


def wait_until_free(clock: Clock, wait_s: float, poll_s: float, take: Callable[[], R]) -> R:
    """Try `take` until the lock is free.

    Raises:
        LockBusy: after `wait_s` seconds it still is not.
        Interrupted: asked to stop while waiting.
    """
    deadline = clock.monotonic() + wait_s
    while True:
        try:
            return take()
        except LockBusy:
            if clock.monotonic() >= deadline:
                raise
            clock.wait(poll_s)
