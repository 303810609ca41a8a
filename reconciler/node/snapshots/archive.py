"""Writes one volume as a standard PAX tar with an index of entries beside it; `seals` reads it back. Effects: files.

Own writer, because a library that keeps nanoseconds, xattrs, ACLs, capabilities and holes at this speed does not
exist (bench/README.md); the archive is plain tar, so that GNU tar can unpack it without us.
"""

import base64
import errno
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import ActError
from reconciler.node.snapshots import content, tree
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.tree import Entry, Visit
from reconciler.state import files, inode_flags

SMALL = 64 << 10
_FLUSH = 4 << 20
COPY = 64 << 20
"""Bytes that the kernel copies at once; then it is told how far that came."""
_TYPEFLAG = {
    tree.FILE: b"0",
    tree.HARD: b"1",
    tree.LINK: b"2",
    tree.CHAR: b"3",
    tree.BLOCKDEV: b"4",
    tree.FOLDER: b"5",
    tree.FIFO: b"6",
}
_NO_NAMES, _NO_DEVICE, _PADDING = bytes(64), b"0000000\0" * 2, bytes(167)
_CONSTANT = sum(b"ustar\x0000") + 8 * ord(" ")
"""What every block adds to its checksum, in whose place blanks are counted."""
_encode = json.JSONEncoder(separators=(",", ":")).encode
_MAX_OCTAL7 = 0o7777777
_MAX_OCTAL11 = 0o77777777777


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written for one volume."""

    entries: int
    data_bytes: int
    sockets: tuple[str, ...]
    archive_bytes: int


def write(
    root: Path, archive: Path, index: Path, check: Callable[[], None] = lambda: None, reach: Reach = unheard
) -> Written:
    """Archive the tree. Both files are durable when it returns. `check` is called before each entry and may raise.

    `reach`: bytes of the archive, from two threads.

    Raises:
        ActError: the tree changed while it was read, so a process still writes.
        OSError: no room or I/O error; what was written so far is the caller's to remove.
    """
    with ThreadPoolExecutor(max_workers=1) as hasher:
        writer = _Writer(archive, index, hasher, reach)
        try:
            for visit in tree.walk(root):
                check()
                writer.add(visit)
            return writer.finish()
        finally:
            writer.close()


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


class _Writer:
    """Batches headers and small bodies, copies large ones inside the kernel, hashes in a second thread."""

    def __init__(self, archive: Path, index: Path, hasher: ThreadPoolExecutor, reach: Reach) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._out = os.open(archive, flags, files.PRIVATE_FILE)
        self._index = os.fdopen(os.open(index, flags, files.PRIVATE_FILE), "wb", buffering=1 << 20)
        self._hasher = hasher
        self._reach = reach
        self._buffer: list[bytes] = []
        self._held = 0
        self._at = 0
        self._entries = 0
        self._data = 0
        self._sockets: list[str] = []

    def add(self, visit: Visit) -> None:
        entry = visit.entry
        if entry.type == tree.SOCKET:
            self._sockets.append(entry.path)
            return
        if entry.type == tree.FILE:
            self._file(visit)
        else:
            if entry.type == tree.FOLDER:
                entry.flags = inode_flags.read_at(visit.folder, visit.name)
            self._put(header(entry, 0))
        self._index.write(_encode(entry.to_json()).encode() + b"\n")
        self._entries += 1
        self._reach(self._at)

    def _file(self, visit: Visit) -> None:
        entry = visit.entry
        fd = os.open(visit.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=visit.folder)
        try:
            entry.flags = inode_flags.read(fd)
            if content.is_sparse(visit.found):
                self._sparse(fd, entry)
            elif entry.size < SMALL:
                body = os.pread(fd, entry.size, 0) if entry.size else b""
                if len(body) != entry.size:
                    raise ActError(f"{entry.path} got shorter while it was read: a process still writes to the volume")
                entry.digest = hashlib.sha256(body).hexdigest()
                self._put(header(entry, entry.size))
                entry.offset = self._at
                self._put(body + bytes(-entry.size % 512))
            else:
                self._put(header(entry, entry.size))
                entry.offset = self._at
                both = _Twice(self._reach, self._at)
                digest = self._hasher.submit(content.range_digest, fd, 0, entry.size, both.read)
                self._copy(fd, ((0, entry.size),), digest, both)
                entry.digest = digest.result()
                self._put(bytes(-entry.size % 512))
            after = os.fstat(fd)
        finally:
            os.close(fd)
        self._data += entry.size if entry.extents is None else sum(length for _, length in entry.extents)
        if (after.st_size, after.st_mtime_ns) != (visit.found.st_size, visit.found.st_mtime_ns):
            raise ActError(f"{entry.path} changed while it was read: a process still writes to the volume")

    def _sparse(self, fd: int, entry: Entry) -> None:
        extents = content.data_extents(fd, entry.size)
        stored = sum(length for _, length in extents)
        ends_in_hole = not extents or sum(extents[-1]) < entry.size
        listed = (*extents, (entry.size, 0)) if ends_in_hole else extents  # GNU tar takes the size from the last one
        table = f"{len(listed)}\n" + "".join(f"{start}\n{length}\n" for start, length in listed)
        prefix = table.encode()
        prefix += bytes(-len(prefix) % 512)
        self._put(header(entry, len(prefix) + stored, sparse=True) + prefix)
        entry.offset, entry.extents = self._at, extents
        both = _Twice(self._reach, self._at)
        digest = self._hasher.submit(content.sparse_digest, fd, extents, entry.size, None, both.read)
        self._copy(fd, extents, digest, both)
        entry.digest = digest.result()
        self._put(bytes(-stored % 512))

    def _copy(self, fd: int, ranges: tuple[tuple[int, int], ...], digest: "Future[str]", both: _Twice) -> None:
        self._flush()
        try:
            for start, length in ranges:
                copy_range(fd, self._out, start, self._at, length, both.copying(self._at))
                self._at += length
        except BaseException:
            digest.cancel() or digest.exception()  # the descriptor must outlive its reader
            raise

    def _put(self, data: bytes) -> None:
        self._buffer.append(data)
        self._held += len(data)
        self._at += len(data)
        if self._held > _FLUSH:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            os.lseek(self._out, self._at - self._held, os.SEEK_SET)
            files.write_all(self._out, b"".join(self._buffer))
            self._buffer, self._held = [], 0

    def finish(self) -> Written:
        self._put(bytes(1024))
        self._flush()
        os.fsync(self._out)
        self._index.flush()
        os.fsync(self._index.fileno())
        return Written(
            entries=self._entries, data_bytes=self._data, sockets=tuple(self._sockets), archive_bytes=self._at
        )

    def close(self) -> None:
        os.close(self._out)
        self._index.close()


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
            raise ActError("a file got shorter while it was read: a process still writes to the volume")
        source_at, target_at, length = source_at + count, target_at + count, length - count
        reach(source_at - begin)


def header(entry: Entry, stored: int, *, sparse: bool = False) -> bytes:
    """The tar header of an entry: PAX records for what ustar cannot say, then the ustar block."""
    name = os.fsencode(entry.path if entry.path == "." else f"./{entry.path}")
    link = os.fsencode(entry.target if entry.type != tree.HARD else f"./{entry.target}")
    seconds, nanoseconds = divmod(abs(entry.mtime_ns), 10**9)
    records = [(b"mtime", b"%b%d.%09d" % (b"-" if entry.mtime_ns < 0 else b"", seconds, nanoseconds))]
    if sparse:
        records += [
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % entry.size),
        ]
        name = b"./GNUSparseFile.0/" + name[-80:]
    if len(name) > 100 or not name.isascii():
        records.append((b"path", name))
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
    if entry.uid > _MAX_OCTAL7:
        records.append((b"uid", b"%d" % entry.uid))
    if entry.gid > _MAX_OCTAL7:
        records.append((b"gid", b"%d" % entry.gid))
    if stored > _MAX_OCTAL11:
        records.append((b"size", b"%d" % stored))
    for key, value in entry.xattrs.items():
        records.append((b"SCHILY.xattr." + os.fsencode(key), base64.b64decode(value)))
    body = b"".join(_record(key, value) for key, value in records)
    extended = _block(b"./PaxHeaders/" + name[-80:], entry, len(body), b"x") + body + bytes(-len(body) % 512)
    return extended + _block(name, entry, stored, _TYPEFLAG[entry.type], link)


def _record(key: bytes, value: bytes) -> bytes:
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def _block(name: bytes, entry: Entry, size: int, flag: bytes, link: bytes = b"") -> bytes:
    name, link = name[:100], link[:100]
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        entry.mode,
        entry.uid if entry.uid <= _MAX_OCTAL7 else 0,
        entry.gid if entry.gid <= _MAX_OCTAL7 else 0,
        size if size <= _MAX_OCTAL11 else 0,
        max(0, entry.mtime_ns // 10**9) & _MAX_OCTAL11,
    )
    device = b"%07o\0%07o\0" % entry.device if entry.device != (0, 0) else _NO_DEVICE
    # Of what is not zero alone: a block is mostly zeros, and there are two for each of many small files.
    total = sum(b"%b%b%b%b%b" % (name, numbers, flag, link, device)) + _CONSTANT
    return b"%b%b%06o\0 %b%bustar\00000%b%b%b" % (
        name.ljust(100, b"\0"),
        numbers,
        total,
        flag,
        link.ljust(100, b"\0"),
        _NO_NAMES,
        device,
        _PADDING,
    )
