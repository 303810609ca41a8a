"""Writes one volume as a standard PAX tar with an index of entries beside it, and reads it back. Effects: files.

Own writer, because a library that keeps nanoseconds, xattrs, ACLs, capabilities and holes at this speed does not
exist (bench/README.md); the archive is plain tar, so that GNU tar can unpack it without us.
"""

import base64
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import ActError, StateError
from reconciler.node.snapshots import content, tree
from reconciler.node.snapshots.tree import Entry, Visit
from reconciler.state import files, inode_flags

SMALL = 64 << 10
_FLUSH = 4 << 20
_COPY = 64 << 20
_TYPEFLAG = {
    tree.FILE: b"0",
    tree.HARD: b"1",
    tree.LINK: b"2",
    tree.CHAR: b"3",
    tree.BLOCKDEV: b"4",
    tree.FOLDER: b"5",
    tree.FIFO: b"6",
}
_MAX_OCTAL7 = 0o7777777
_MAX_OCTAL11 = 0o77777777777


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written for one volume."""

    entries: int
    data_bytes: int
    sockets: tuple[str, ...]
    archive_bytes: int


def write(root: Path, archive: Path, index: Path, check: Callable[[], None] = lambda: None) -> Written:
    """Archive the tree. Both files are durable when it returns. `check` is called before each entry and may raise.

    Raises:
        ActError: the tree changed while it was read, so a process still writes.
        OSError: no room or I/O error; what was written so far is the caller's to remove.
    """
    with ThreadPoolExecutor(max_workers=1) as hasher:
        writer = _Writer(archive, index, hasher)
        try:
            for visit in tree.walk(root):
                check()
                writer.add(visit)
            return writer.finish()
        finally:
            writer.close()


class _Writer:
    """Batches headers and small bodies, copies large ones inside the kernel, hashes in a second thread."""

    def __init__(self, archive: Path, index: Path, hasher: ThreadPoolExecutor) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._out = os.open(archive, flags, files.PRIVATE_FILE)
        self._index = os.fdopen(os.open(index, flags, files.PRIVATE_FILE), "wb", buffering=1 << 20)
        self._hasher = hasher
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
        line = json.dumps(entry.to_json(), separators=(",", ":"))
        self._index.write(line.encode() + b"\n")
        self._entries += 1

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
                digest = self._hasher.submit(content.range_digest, fd, 0, entry.size)
                self._copy(fd, ((0, entry.size),), digest)
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
        digest = self._hasher.submit(content.sparse_digest, fd, extents, entry.size)
        self._copy(fd, extents, digest)
        entry.digest = digest.result()
        self._put(bytes(-stored % 512))

    def _copy(self, fd: int, ranges: tuple[tuple[int, int], ...], digest: "Future[str]") -> None:
        self._flush()
        try:
            for start, length in ranges:
                copy_range(fd, self._out, start, self._at, length)
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


def copy_range(source: int, target: int, source_at: int, target_at: int, length: int) -> None:
    """Copy inside the kernel where it can, else through memory.

    Raises:
        ActError: the source got shorter meanwhile.
    """
    while length:
        try:
            count = os.copy_file_range(source, target, min(length, _COPY), source_at, target_at)
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
    for key, value, limit in (
        (b"uid", entry.uid, _MAX_OCTAL7),
        (b"gid", entry.gid, _MAX_OCTAL7),
        (b"size", stored, _MAX_OCTAL11),
    ):
        if value > limit:
            records.append((key, b"%d" % value))
    records += [(b"SCHILY.xattr." + os.fsencode(key), base64.b64decode(value)) for key, value in entry.xattrs.items()]
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
    major, minor = entry.device
    block = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\00000%b%07o\0%07o\0" % (
        name[:100].ljust(100, b"\0"),
        entry.mode,
        entry.uid if entry.uid <= _MAX_OCTAL7 else 0,
        entry.gid if entry.gid <= _MAX_OCTAL7 else 0,
        size if size <= _MAX_OCTAL11 else 0,
        max(0, entry.mtime_ns // 10**9) & _MAX_OCTAL11,
        flag,
        link[:100].ljust(100, b"\0"),
        bytes(64),
        major,
        minor,
    )
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def read_index(index: Path, seal: str | None) -> Iterator[Entry]:
    """Every entry of an index; `seal`: the sha256 it must have, checked before the first is given out.

    Raises:
        StateError: the index is not what its seal says, or not an index.
    """
    if seal is not None and file_digest(index) != seal:
        raise StateError(str(index), "does not match its sha256 in the manifest")
    with index.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield Entry.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError) as exc:
                raise StateError(f"{index}:{number}", f"is not an entry: {exc}") from exc


def file_digest(path: Path) -> str:
    """sha256 of a whole file."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return content.range_digest(fd, 0, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def check_bodies(archive: Path, index: Path, seal: str | None) -> Iterator[str]:
    """Read every body back from the archive and name those that differ from their digest."""
    fd = os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for entry in read_index(index, seal):
            if entry.offset < 0:
                continue
            try:
                if entry.extents is None:
                    found = content.range_digest(fd, entry.offset, entry.size)
                else:
                    found = content.sparse_digest(fd, entry.extents, entry.size, entry.offset)
            except ActError:
                found = "cut short"
            if found != entry.digest:
                yield f"{archive.name}: {entry.path} does not match its sha256"
    finally:
        os.close(fd)
