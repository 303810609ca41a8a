"""Appends the members of a tar: batches headers and small bodies, copies large ones inside the kernel. Effects: files.

Own writer, because a library that keeps nanoseconds, xattrs, ACLs, capabilities and holes at this speed does not
exist (bench/README.md); the archive is plain tar, so that GNU tar can unpack it without us.
"""

import errno
import hashlib
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor

from reconciler.model.errors import ActError
from reconciler.node.snapshots import blocks, content, tree
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.tar_header import header, pad
from reconciler.node.snapshots.tree import Entry, Visit
from reconciler.state import files, inode_flags

SMALL = blocks.SIZE
"""Bodies below this go through memory, and have the sha256 of their content as digest."""
_FLUSH = 4 << 20
COPY = 16 << 20
"""Bytes that the kernel copies at once; then it is told how far that came."""


class _Twice:
    """A body that two threads go over, one that copies and one that reads: done is what both have behind them.

    `base`: where it begins in the archive.
    """

    def __init__(self, reach: Reach, base: int) -> None:
        self._reach, self._base = reach, base
        self._copied = self._read = 0

    def copying(self, at: int) -> Reach:
        """How far the copy is of a range that goes to there in the archive."""

        def reach(done: int) -> None:
            self._copied = at - self._base + done
            self._tell()

        return reach

    def read(self, done: int) -> None:
        """How far the reader is."""
        self._read = done
        self._tell()

    def _tell(self) -> None:
        self._reach(self._base + min(self._copied, self._read))


TRAILER = 1024
"""Bytes that end a tar."""


class Members:
    """Members appended to an open archive, at `at`; large bodies are hashed in a second thread. Owns nothing.

    `is_live`: what is read may change meanwhile, and the caller reads it again later.
    """

    def __init__(
        self, out: int, hasher: ThreadPoolExecutor, reach: Reach = unheard, at: int = 0, *, is_live: bool = False
    ) -> None:
        self.at = at
        self._is_live = is_live
        self.data_bytes = 0
        self._out = out
        self._hasher = hasher
        self._reach = reach
        self._buffer: list[bytes] = []
        self._held = 0

    def add(self, visit: Visit) -> Entry:
        """Append one; gives its entry, complete.

        Raises:
            ActError: it changed while it was read, so a process still writes; of a live one: it is another, or shorter.
        """
        entry = visit.entry
        if entry.type == tree.FILE:
            self._file(visit)
        else:
            if entry.type == tree.FOLDER:
                entry.flags = inode_flags.read_at(visit.folder, visit.name)
            self._put(header(entry, 0))
        self._reach(self.at)
        return entry

    def _file(self, visit: Visit) -> None:
        entry = visit.entry
        # Not blocking: what is a pipe by now would wait for a writer.
        fd = os.open(visit.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=visit.folder)
        try:
            if self._is_live:
                _require_same(fd, visit)
            entry.flags = inode_flags.read(fd)
            if entry.size < SMALL:
                body = read_small(fd, entry)
                self._put(header(entry, entry.size))
                entry.offset = self.at
                self._put(body + bytes(-entry.size % 512))
                self.data_bytes += entry.size
            else:
                self._large(fd, entry, content.data_extents(fd, entry.size) if content.is_sparse(visit.found) else None)
            if not self._is_live:
                require_unchanged(fd, visit)
        finally:
            os.close(fd)

    def _large(self, fd: int, entry: Entry, extents: blocks.Extents | None) -> None:
        self._put(head(entry, extents))
        entry.offset, entry.extents = self.at, extents
        both = _Twice(self._reach, self.at)
        digest = self._hasher.submit(blocks.digest, fd, entry.size, extents, reach=both.read)
        self._copy(fd, ((0, entry.size),) if extents is None else extents, digest, both)
        entry.digest = digest.result()
        self._put(pad(stored_bytes(entry)))
        self.data_bytes += stored_bytes(entry)

    def _copy(self, fd: int, ranges: blocks.Extents, digest: "Future[str]", both: _Twice) -> None:
        try:
            self.flush()
            for start, length in ranges:
                copy_range(fd, self._out, start, self.at, length, both.copying(self.at))
                self.at += length
        except BaseException:
            digest.cancel() or digest.exception()  # the descriptor must outlive its reader
            raise

    def _put(self, data: bytes) -> None:
        self._buffer.append(data)
        self._held += len(data)
        self.at += len(data)
        if self._held > _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Hand to the kernel what waits."""
        if self._buffer:
            os.lseek(self._out, self.at - self._held, os.SEEK_SET)
            files.write_all(self._out, b"".join(self._buffer))
            self._buffer, self._held = [], 0

    def go_back(self, at: int) -> None:
        """Forget what was appended from there on."""
        self.flush()
        os.ftruncate(self._out, at)
        self.at = at

    def leave(self, room: int) -> None:
        """Leave out so many bytes, which somebody else fills."""
        self.flush()
        self.at += room

    def finish(self) -> None:
        """End the archive, and make it durable."""
        self._put(bytes(TRAILER))
        self.flush()
        os.fsync(self._out)


def require_unchanged(fd: int, visit: Visit) -> None:
    """Raises ActError if the file changed since it was visited."""
    after, before = os.fstat(fd), visit.found
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ActError(f"{visit.entry.path} changed while it was read: a process still writes to the volume")


def _require_same(fd: int, visit: Visit) -> None:
    found = os.fstat(fd)
    # Its kind too: the number of an inode is given again at once.
    if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) != (visit.found.st_dev, visit.found.st_ino):
        raise ActError(f"{visit.entry.path} is another file now")


def head(entry: Entry, extents: blocks.Extents | None) -> bytes:
    """What comes before the body of a large file: its header, and of a sparse one the table of its ranges."""
    if extents is None:
        return header(entry, entry.size)
    ends_in_hole = not extents or sum(extents[-1]) < entry.size
    listed = (*extents, (entry.size, 0)) if ends_in_hole else extents  # GNU tar takes the size from the last one
    table = f"{len(listed)}\n" + "".join(f"{start}\n{length}\n" for start, length in listed)
    prefix = table.encode()
    prefix += pad(len(prefix))
    stored = sum(length for _, length in extents)
    return header(entry, len(prefix) + stored, sparse=True) + prefix


def read_small(fd: int, entry: Entry) -> bytes:
    """The content of a small file, whose digest is set.

    Raises:
        ActError: it got shorter.
    """
    body = os.pread(fd, entry.size, 0) if entry.size else b""
    if len(body) != entry.size:
        raise ActError(f"{entry.path} got shorter while it was read: a process still writes to the volume")
    entry.digest = hashlib.sha256(body).hexdigest()
    return body


def stored_bytes(entry: Entry) -> int:
    """Bytes of content that the archive holds for an entry."""
    return entry.size if entry.extents is None else sum(length for _, length in entry.extents)


def copy_range(source: int, target: int, source_at: int, target_at: int, length: int, reach: Reach = unheard) -> None:
    """Copy inside the kernel where it can, else through memory.

    Raises:
        ActError: the source got shorter meanwhile.
    """
    begin = source_at
    while length:
        try:
            count = os.copy_file_range(source, target, min(length, COPY), source_at, target_at)
        except OSError as exc:
            if exc.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            data = os.pread(source, min(length, content.BLOCK), source_at)
            os.lseek(target, target_at, os.SEEK_SET)
            files.write_all(target, data)
            count = len(data)
        if count == 0:
            raise ActError(blocks.GOT_SHORTER)
        source_at, target_at, length = source_at + count, target_at + count, length - count
        reach(source_at - begin)
