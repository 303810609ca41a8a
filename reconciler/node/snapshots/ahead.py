"""Copies a volume while its app still runs; `catch_up` makes a snapshot of it once nothing writes. Effects: files.

A file that was read while it was written may be torn in here: whatever changed since a minute before the copy began is
compared anew when the app is down, by its change time, which no program can set (docs/adr/0022).
"""

import ctypes
import errno
import hashlib
import os
import struct
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from reconciler.model.errors import ActError
from reconciler.node.snapshots import blocks, content, slack, tree
from reconciler.node.snapshots.archive import append_lines, keep_open
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.members import Members
from reconciler.node.snapshots.tree import Entry, Place, Visit
from reconciler.state import files
from reconciler.state.descent import FOLDER

QUIET_NS = 60 * 10**9
"""A change time is that of the beginning of a write, and one call may write gigabytes."""
_ACTIVE_NS = 3600 * 10**9
_CLOCK_JUMP_NS = 10**9
_GROWS_FROM = 1 << 20
_GROWTH = 64 << 20
_NEVER = -1
_ANOTHER_NOW = (
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE),
    *(errno.ENODATA, errno.EINVAL),
)
"""What became of an entry since it was looked at: gone, not to be opened, without that attribute, no link."""
_HEAD = struct.Struct("<QQqqqqqqII")
_LIBC = ctypes.CDLL(None, use_errno=True)
JOURNALED = frozenset({0xEF53, 0x58465342, 0x9123683E})
"""ext2 to ext4, XFS, btrfs: local disks, on which a store through a mapping moves the change time after a sync."""


class Copied(NamedTuple):
    """One entry as it was copied. `at`, `end`, `room_end`: of its member, and of what is left free behind it.

    `ctime_ns` -1: its body may be torn. `digests`: where those of its blocks begin, -1: it has none. `line`: of the
    entries file.
    """

    path: str
    dev: int
    ino: int
    ctime_ns: int
    at: int
    end: int
    room_end: int
    digests: int
    data_bytes: int
    line: bytes


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A volume as it was, more or less, while its app ran.

    `entries`: of `Copied`, in the order of a walk; `digests`: of blocks of large files; `seals`: of the archive's own,
    which come to `sealed`.
    """

    root: Path
    device: int
    archive: Path
    entries: Path
    digests: Path
    seals: Path
    began_ns: int
    clocks_apart_ns: int
    archive_bytes: int
    has_change_times: bool
    sealed: str = ""

    @property
    def quiet_before_ns(self) -> int:
        """What changed last before this was copied whole; 0: that cannot be told of anything."""
        return self.began_ns - QUIET_NS if self.has_change_times else 0

    def is_of_this_clock(self) -> bool:
        """Say whether the clock that stamps changes was not set since."""
        return abs(_clocks_apart() - self.clocks_apart_ns) < _CLOCK_JUMP_NS

    def remove_notes(self) -> None:
        """What no snapshot needs."""
        for path in (self.entries, self.digests, self.seals):
            path.unlink(missing_ok=True)


def copy(root: Path, archive: Path, check: Callable[[], None] = lambda: None, reach: Reach = unheard) -> Copy:
    """Copy the tree, whatever becomes of it meanwhile. `check` is called before each entry and may raise.

    Raises:
        ActError: folders were moved meanwhile.
        OSError: no room, or an I/O error.
    """
    begun = Copy(
        root=root,
        device=root.stat().st_dev,
        archive=archive,
        entries=archive.with_suffix(".copied"),
        digests=archive.with_suffix(".digests"),
        seals=archive.with_suffix(".seals"),
        began_ns=time.time_ns(),
        clocks_apart_ns=_clocks_apart(),
        archive_bytes=0,
        has_change_times=tells_of_changes(root),
    )
    # A page that is mapped and dirty already would take further stores without a trace.
    _sync_file_system(root)
    with ExitStack() as stack:
        copier = _Copier(begun, stack, check, reach)
        for place in tree.walk_places(root, live=True):
            check()
            copier.take(place)
        return copier.finish()


def read(path: Path) -> Generator[Copied, None, None]:
    """What was copied, in order; its file is open until it is closed."""
    with path.open("rb", buffering=1 << 20) as stream:
        while head := stream.read(_HEAD.size):
            dev, ino, ctime, at, end, room_end, digests, data, name, line = _HEAD.unpack(head)
            inner = os.fsdecode(stream.read(name))
            yield Copied(inner, dev, ino, ctime, at, end, room_end, digests, data, stream.read(line))


def tells_of_changes(path: Path) -> bool:
    """Say whether change times can be relied on there; if not, all that was copied is compared."""
    found = ctypes.create_string_buffer(256)
    if _LIBC.statfs(os.fsencode(path), found) != 0:
        return False
    return int(ctypes.c_ulong.from_buffer(found).value) & 0xFFFFFFFF in JOURNALED


class _Copier:
    def __init__(self, copy: Copy, stack: ExitStack, check: Callable[[], None], reach: Reach) -> None:
        def copied(done: int) -> None:
            check()
            reach(done)

        self._copy, self._check = copy, check
        self._out, self._digests, self._seals = (
            keep_open(path, stack) for path in (copy.archive, copy.digests, copy.seals)
        )
        self._entries = stack.enter_context(append_lines(copy.entries))
        # Last, as it is waited for first: it works on the others.
        hasher = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        self._members = Members(self._out, hasher, copied, is_live=True)
        self._next_digest = 0

    def take(self, place: Place) -> None:
        """Copy one entry; nothing of it, if it goes or shrinks meanwhile."""
        found, at, data = place.found, self._members.at, self._members.data_bytes
        if tree.TYPES[found.st_mode & tree.FORMAT] == tree.SOCKET:
            return
        try:
            visit = Visit(entry=tree.read_entry(place), folder=place.folder, name=place.name, found=found)
            entry = self._members.add(visit)
        except (ActError, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno not in _ANOTHER_NOW:
                raise
            self._members.go_back(at)
            return
        end, ctime, digests = self._members.at, found.st_ctime_ns, -1
        if entry.digest.startswith(blocks.MARK):
            self._leave_room(entry, found.st_ctime_ns)
            digests, is_torn = self._digest(entry)
            ctime = _NEVER if is_torn else ctime
        self._note(
            Copied(
                path=place.path,
                dev=found.st_dev,
                ino=found.st_ino,
                ctime_ns=ctime,
                at=at,
                end=end,
                room_end=self._members.at,
                digests=digests,
                data_bytes=self._members.data_bytes - data,
                line=entry.to_line(),
            )
        )

    def _leave_room(self, entry: Entry, ctime_ns: int) -> None:
        """Files that are written to grow, and to move one of gigabytes costs more than to leave it room."""
        is_active = ctime_ns > self._copy.began_ns - _ACTIVE_NS
        if entry.extents is None and entry.size >= _GROWS_FROM and is_active:
            begin, room = self._members.at, min(_GROWTH, entry.size // 8) // slack.LEAST * slack.LEAST
            self._members.leave(room)
            slack.fill(self._out, begin, begin + room)

    def _digest(self, entry: Entry) -> tuple[int, bool]:
        """Keep the digests of a body's blocks as the archive has them; (where, is it another body than was read)."""
        begin = self._next_digest
        # As many as would be needed if the room were used up.
        self._next_digest += (max(entry.size, self._members.at - entry.offset) // blocks.SIZE + 2) * blocks.LENGTH

        def keep(number: int, digest: bytes) -> None:
            files.write_all_at(self._digests, digest, begin + number * blocks.LENGTH)

        found = blocks.digest(self._out, entry.size, entry.extents, base=entry.offset, reach=self._go_on, keep=keep)
        is_torn, entry.digest = found != entry.digest, found
        return begin, is_torn

    def _note(self, one: Copied) -> None:
        path = os.fsencode(one.path)
        head = (one.dev, one.ino, one.ctime_ns, one.at, one.end, one.room_end, one.digests, one.data_bytes)
        self._entries.write(_HEAD.pack(*head, len(path), len(one.line)) + path + one.line)

    def finish(self) -> Copy:
        """Make it durable and read it back: this need not be done again for what stays as it is."""
        self._members.flush()
        os.fsync(self._out)
        self._entries.flush()
        self._check_small()
        size = self._members.at
        extents = content.data_extents(self._out, size)
        sealed = blocks.digest(self._out, size, extents, reach=self._go_on, keep=self._seal)
        # An error of the disk is heard here, and not when they are read again.
        os.fsync(self._digests)
        os.fsync(self._seals)
        return replace(self._copy, archive_bytes=size, sealed=sealed)

    def _go_on(self, _done: int) -> None:
        self._check()

    def _seal(self, number: int, digest: bytes) -> None:
        files.write_all_at(self._seals, digest, number * blocks.LENGTH)

    def _check_small(self) -> None:
        for one in read(self._copy.entries):
            self._check()
            if one.digests < 0 and one.data_bytes:
                entry = Entry.from_line(one.line)
                if hashlib.sha256(os.pread(self._out, entry.size, entry.offset)).hexdigest() != entry.digest:
                    raise OSError(f"{self._copy.archive}: {entry.path} does not read back")


def _clocks_apart() -> int:
    """How far the clock that can be set is from the one that only runs, in ns."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _sync_file_system(root: Path) -> None:
    fd = os.open(root, FOLDER)
    try:
        if _LIBC.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed", str(root))
    finally:
        os.close(fd)
