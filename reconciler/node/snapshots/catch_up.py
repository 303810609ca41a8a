"""Makes a copy that was taken of a running app the snapshot of it now that it is down. Effects: the copy's archive.

Both lists are in the order of a walk, so that they are gone through side by side: what was copied and did not change
stays where it is, what changed is compared block by block and written in its place, and what does not fit there is
appended. What is replaced becomes a comment, so that the archive is a plain tar of just this tree.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import ActError
from reconciler.node.snapshots import ahead, blocks, content, members, seals, slack, tree
from reconciler.node.snapshots.ahead import Copied, Copy
from reconciler.node.snapshots.archive import Written, append_lines, keep_open
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.matching import Matcher, Range
from reconciler.node.snapshots.members import Members
from reconciler.node.snapshots.tar_header import header, pad
from reconciler.node.snapshots.tree import Entry, Place, Visit
from reconciler.state import files, inode_flags

_CHANGE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITES = "a process still writes to the volume"


@dataclass(frozen=True, kw_only=True)
class CaughtUp:
    """`sealed`: digests of the archive and of the index."""

    written: Written
    sealed: tuple[str, str]


def catch_up(copy: Copy, index: Path, check: Callable[[], None] = lambda: None, reach: Reach = unheard) -> CaughtUp:
    """Make the copy equal to its tree, and write the index. Both files are durable when it returns.

    `reach`: bytes that were written.

    Raises:
        ActError: the tree changes, or what was written does not read back.
        OSError: no room, or an I/O error. The copy is of no use then.
    """
    touched = index.with_suffix(".touched")
    with ExitStack() as stack:
        work = _CatchUp(copy, index, touched, stack, reach)
        for place in tree.walk_places(copy.root):
            check()
            work.take(place)
        found = work.finish()
    touched.unlink()
    copy.remove_notes()
    return found


class _CatchUp:
    """`_needed`: bytes of the archive that entries need; `_moved`: files with several names that were appended."""

    def __init__(self, copy: Copy, index: Path, touched: Path, stack: ExitStack, reach: Reach) -> None:
        self._copy, self._index_path, self._touched_path = copy, index, touched
        self._out, self._digests, self._seals = (
            keep_open(path, stack, _CHANGE) for path in (copy.archive, copy.digests, copy.seals)
        )
        self._index, self._touched = (stack.enter_context(append_lines(path)) for path in (index, touched))
        # Last, as it is waited for first: it works on the others.
        hasher = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        self._matcher = Matcher(self._out, self._digests, hasher, self._write)
        self._members = Members(self._out, hasher, reach, at=copy.archive_bytes)
        self._waiting = stack.enter_context(closing(ahead.read(copy.entries)))
        self._next: Copied | None = next(self._waiting, None)
        self._dirty: set[int] = set()
        self._moved: set[str] = set()
        self._sockets: list[str] = []
        self._entries = self._data = self._needed = 0
        if blocks.add_up(self._seals, 0, copy.archive_bytes) != copy.sealed:
            raise ActError(f"{copy.seals} is not what was written", host_fault=True)

    def take(self, place: Place) -> None:
        """Bring one entry up to date."""
        old = self._find(place.path)
        if tree.TYPES[place.found.st_mode & tree.FORMAT] == tree.SOCKET:
            self._drop(old)
            self._sockets.append(place.path)
            return
        self._entries += 1
        if old is not None and self._stands(old, place):
            self._index.write(old.line)
            self._data += old.data_bytes
            self._needed += old.end - old.at
            return
        visit = self._read(place)
        entry = self._replace(old, visit) if old is not None else None
        if entry is None:
            self._drop(old)
            entry = self._append(visit, place)
        self._data += members.stored_bytes(entry) if entry.offset >= 0 else 0
        self._index.write(entry.to_line())

    def _find(self, path: str) -> Copied | None:
        """What was copied of this path; what was copied of paths before it is gone."""
        while (old := self._next) is not None:
            if old.path == path:
                self._advance()
                return old
            if _order(old.path) > _order(path):
                return None
            self._advance()
            self._drop(old)
        return None

    def _advance(self) -> None:
        self._next = next(self._waiting, None)

    def _stands(self, old: Copied, place: Place) -> bool:
        """Say whether the entry is as it was copied: the same inode, which did not change since well before that."""
        found = place.found
        return (
            old.ctime_ns == found.st_ctime_ns
            and old.ctime_ns < self._copy.quiet_before_ns
            and old.ino == found.st_ino
            # What is mounted within may be of a kind on which change times say nothing.
            and old.dev == found.st_dev == self._copy.device
            and (not place.first or self._is_same_name(old, place))
        )

    def _is_same_name(self, old: Copied, place: Place) -> bool:
        """Say whether one of several names of a file is what it was: the first, or one of the same first."""
        was = Entry.from_line(old.line)
        if place.first == place.path:
            return was.type == tree.FILE
        return was.type == tree.HARD and was.target == place.first and place.first not in self._moved

    def _read(self, place: Place) -> Visit:
        try:
            return Visit(entry=tree.read_entry(place), folder=place.folder, name=place.name, found=place.found)
        except FileNotFoundError as exc:
            raise ActError(f"{exc.filename} vanished while it was read: {_WRITES}") from exc

    def _append(self, visit: Visit, place: Place) -> Entry:
        at = self._members.at
        entry = self._members.add(visit)
        self._needed += self._members.at - at
        self._touched.write(entry.to_line())
        if place.first == place.path:
            self._moved.add(place.path)
        return entry

    def _replace(self, old: Copied, visit: Visit) -> Entry | None:
        """Write the entry where the old one is; None: it does not fit there."""
        entry = visit.entry
        if entry.type == tree.FILE:
            fd = os.open(visit.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=visit.folder)
            try:
                entry.flags = inode_flags.read(fd)
                large = entry.size >= members.SMALL
                placed = self._replace_large(old, visit, fd) if large else self._replace_small(old, entry, fd)
                members.require_unchanged(fd, visit)
                return placed
            finally:
                os.close(fd)
        if entry.type == tree.HARD and entry.target in self._moved:
            return None  # a tar that is read in order must meet the file before its other names
        if entry.type == tree.FOLDER:
            entry.flags = inode_flags.read_at(visit.folder, visit.name)
        return self._put(old, header(entry, 0), entry)

    def _replace_small(self, old: Copied, entry: Entry, fd: int) -> Entry | None:
        body = members.read_small(fd, entry)
        head = header(entry, entry.size)
        entry.offset = old.at + len(head)
        placed = self._put(old, head + body + pad(entry.size), entry)
        if placed is None:
            entry.offset = -1
        else:
            self._touched.write(entry.to_line())
        return placed

    def _put(self, old: Copied, data: bytes, entry: Entry) -> Entry | None:
        if not slack.fits(len(data), old.room_end - old.at):
            return None
        self._write(data, old.at)
        self._fill_rest(old, old.at + len(data))
        return entry

    def _replace_large(self, old: Copied, visit: Visit, fd: int) -> Entry | None:
        entry, was = visit.entry, Entry.from_line(old.line)
        extents = content.data_extents(fd, entry.size) if content.is_sparse(visit.found) else None
        head = members.head(entry, extents)
        stored = entry.size if extents is None else sum(length for _, length in extents)
        end = old.at + len(head) + stored + len(pad(stored))
        if (
            old.digests < 0
            or was.extents != extents
            or was.offset != old.at + len(head)
            or not slack.fits(end - old.at, old.room_end - old.at)
        ):
            return None
        # Those of blocks that stay as they are go into the index unread.
        if blocks.add_up(self._digests, old.digests, was.size) != was.digest:
            raise ActError(f"{self._copy.digests} is not what was written", host_fault=True)
        entry.offset, entry.extents = was.offset, extents
        anew_from = min(was.size, entry.size) // blocks.SIZE if was.size != entry.size else None
        at = entry.offset
        for start, length in ((0, entry.size),) if extents is None else extents:
            part = Range(start, length, at - start, old.digests, anew_from)
            self._matcher.match(fd, entry.path, entry.size, part)
            at += length
        self._write(head, old.at)
        self._write(pad(stored), at)
        self._fill_rest(old, end)
        entry.digest = blocks.add_up(self._digests, old.digests, entry.size)
        return entry

    def _fill_rest(self, old: Copied, end: int) -> None:
        self._needed += end - old.at
        if end != old.end and end < old.room_end:
            slack.fill(self._out, end, old.room_end)
            self._note_dirty(end, old.room_end)

    def _drop(self, old: Copied | None) -> None:
        """Whoever unpacks the archive must not meet it any more."""
        if old is not None:
            slack.fill(self._out, old.at, old.room_end)
            self._note_dirty(old.at, old.room_end)

    def _write(self, data: bytes, at: int) -> None:
        if data:
            files.write_all_at(self._out, data, at)
            self._note_dirty(at, at + len(data))

    def _note_dirty(self, at: int, end: int) -> None:
        self._dirty.update(range(at // blocks.SIZE, (end - 1) // blocks.SIZE + 1))

    def finish(self) -> CaughtUp:
        """Drop what is left, seal the archive, and read back what was written."""
        while self._next is not None:
            self._drop(self._next)
            self._advance()
        self._members.finish()
        self._index.flush()
        os.fsync(self._index.fileno())
        self._touched.flush()
        wrong = next(iter(seals.check_bodies(self._copy.archive, self._touched_path, None)), None)
        if wrong is not None:
            raise ActError(f"the snapshot does not read back: {wrong}", host_fault=True)
        size = self._members.at
        written = Written(
            entries=self._entries,
            data_bytes=self._data,
            sockets=tuple(self._sockets),
            archive_bytes=size,
            slack_bytes=max(0, size - self._needed - members.TRAILER),
        )
        return CaughtUp(written=written, sealed=(self._seal(size), seals.file_digest(self._index_path)))

    def _seal(self, size: int) -> str:
        self._note_dirty(self._copy.archive_bytes, size)
        for number in sorted(self._dirty):
            block = os.pread(self._out, min(blocks.SIZE, size - number * blocks.SIZE), number * blocks.SIZE)
            files.write_all_at(self._seals, blocks.digest_of(block), number * blocks.LENGTH)
        return blocks.add_up(self._seals, 0, size)


def _order(path: str) -> list[bytes]:
    """Sorts as a walk goes."""
    return [] if path == "." else os.fsencode(path).split(b"/")
