"""A volume's tree, entry by entry, read through directory descriptors only. Effects: reads files.

The app that wrote the tree may have planted links; nothing here follows one or opens a path by name.
"""

import base64
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model.base import Json
from reconciler.model.errors import ActError

BLOCK = 1 << 20
SPARSE_BLOCK = 64 << 10
_ZEROS = bytes(SPARSE_BLOCK)
FILE, FOLDER, LINK, HARD, CHAR, BLOCKDEV, FIFO, SOCKET = (
    "file",
    "dir",
    "symlink",
    "hardlink",
    "char",
    "block",
    "fifo",
    "socket",
)
_TYPES = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: LINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCKDEV,
    stat.S_IFIFO: FIFO,
    stat.S_IFSOCK: SOCKET,
}
SAME = ("path", "type", "mode", "uid", "gid", "mtime_ns", "size", "target", "device", "xattrs", "digest")
"""What of an entry must be equal after a restore."""


@dataclass(kw_only=True, slots=True)
class Entry:
    """One entry. `path` is relative with `.` for the root; bytes that are not UTF-8 are surrogates.

    `digest`: sha256 of the content (see `content_digest`); `offset`: of the body in the archive, -1 = no body.
    `extents`: data ranges of a sparse file, in stored order. `xattrs`: name -> base64.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    offset: int = -1
    extents: tuple[tuple[int, int], ...] | None = None

    def same(self) -> tuple[object, ...]:
        """What must be equal after a restore."""
        return tuple(getattr(self, name) for name in SAME)

    def to_json(self) -> dict[str, object]:
        """For the entries file; defaults are left out."""
        found: dict[str, object] = {
            "path": self.path,
            "type": self.type,
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
            "mtime_ns": self.mtime_ns,
        }
        for name in ("size", "target", "xattrs", "digest"):
            if value := getattr(self, name):
                found[name] = value
        if self.offset >= 0:
            found["offset"] = self.offset
        if self.device != (0, 0):
            found["device"] = list(self.device)
        if self.extents is not None:
            found["extents"] = [list(extent) for extent in self.extents]
        return found

    @classmethod
    def from_json(cls, data: Json) -> "Entry":
        """Read back what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: not such an object.
        """
        device, extents = data.pop("device", None), data.pop("extents", None)
        entry = cls(**data)
        numbers = (entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.size, entry.offset)
        texts = (entry.path, entry.type, entry.target, entry.digest)
        if not all(type(n) is int for n in numbers) or not all(isinstance(t, str) for t in texts):
            raise ValueError("an entry has a field of the wrong type")
        if not all(isinstance(value, str) for value in dict(entry.xattrs).values()) or entry.size < 0:
            raise ValueError("an entry has a field of the wrong type")
        if isinstance(device, list):
            entry.device = (int(device[0]), int(device[1]))
        if isinstance(extents, list):
            entry.extents = tuple((int(start), int(length)) for start, length in extents)
        return entry


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An entry with what is needed to read its body: the open folder it lies in and its name there."""

    entry: Entry
    folder: int
    name: str
    found: os.stat_result


def walk(root: Path) -> Iterator[Visit]:
    """Every entry below and including `root`, parents first, names in byte order.

    Raises:
        ActError: something vanished meanwhile, so a process still writes.
    """
    first = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    links: dict[tuple[int, int], str] = {}
    stack: list[tuple[int, str, list[str]]] = [(first, ".", [])]
    try:
        yield Visit(
            entry=_entry(".", os.fstat(first), f"/proc/self/fd/{first}/."),
            folder=first,
            name=".",
            found=os.fstat(first),
        )
        stack[0] = (first, ".", _names(first))
        while stack:
            folder, path, names = stack[-1]
            if not names:
                os.close(folder)
                stack.pop()
                continue
            name = names.pop()
            inner = name if path == "." else f"{path}/{name}"
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                entry = _entry(inner, found, f"/proc/self/fd/{folder}/{name}")
                if entry.type == LINK:
                    entry.target = os.readlink(name, dir_fd=folder)
                if entry.type == FILE and found.st_nlink > 1:
                    first_path = links.setdefault((found.st_dev, found.st_ino), inner)
                    if first_path != inner:
                        entry.type, entry.target, entry.size = HARD, first_path, 0
                yield Visit(entry=entry, folder=folder, name=name, found=found)
                if entry.type == FOLDER:
                    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                    stack.append((fd, inner, _names(fd)))
            except FileNotFoundError as exc:
                raise ActError(f"{inner} vanished while it was read: a process still writes to the volume") from exc
    finally:
        for fd, _, _ in stack:
            os.close(fd)


def _names(folder: int) -> list[str]:
    return sorted(os.listdir(folder), key=os.fsencode, reverse=True)


def _entry(path: str, found: os.stat_result, place: str) -> Entry:
    kind = _TYPES[stat.S_IFMT(found.st_mode)]
    device = (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in (CHAR, BLOCKDEV) else (0, 0)
    return Entry(
        path=path,
        type=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
        size=found.st_size if kind == FILE else 0,
        device=device,
        xattrs=_xattrs(place),
    )


def _xattrs(place: str) -> dict[str, str]:
    """Extended attributes with ACLs and capabilities among them, base64."""
    try:
        names = os.listxattr(place, follow_symlinks=False)
        return {n: base64.b64encode(os.getxattr(place, n, follow_symlinks=False)).decode() for n in sorted(names)}
    except OSError as exc:
        if exc.errno in (errno.ENOTSUP, errno.EPERM):
            return {}
        raise


def data_extents(fd: int, size: int) -> tuple[tuple[int, int], ...]:
    """(start, length) of each data range; holes are between them."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                break
            raise
        at = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        found.append((start, at - start))
    return tuple(found)


def is_sparse(found: os.stat_result) -> bool:
    """Say whether a file has holes worth keeping."""
    return found.st_size >= SPARSE_BLOCK and found.st_blocks * 512 < found.st_size


def content_digest(fd: int, size: int, *, sparse: bool) -> str:
    """Give the sha256 of a file's content.

    Sparse files: of (offset, block) of each 64 KiB block that is not all zeros, so that a hole of a terabyte
    costs nothing and the layout of holes does not matter.

    Raises:
        ActError: the file got shorter meanwhile.
    """
    return sparse_digest(fd, data_extents(fd, size), size) if sparse else range_digest(fd, 0, size)


def range_digest(fd: int, start: int, size: int) -> str:
    """sha256 of `size` bytes from `start`."""
    total = hashlib.sha256()
    buffer = memoryview(bytearray(min(BLOCK, max(1, size))))
    end = start + size
    while start < end:
        count = os.preadv(fd, [buffer[: min(len(buffer), end - start)]], start)
        if count == 0:
            raise ActError("a file got shorter while it was read: a process still writes to the volume")
        total.update(buffer[:count])
        start += count
    return total.hexdigest()


def sparse_digest(fd: int, extents: tuple[tuple[int, int], ...], size: int, base: int | None = None) -> str:
    """See `content_digest`. `base`: read the ranges one after another from there (an archive), not in place."""
    total = hashlib.sha256(b"%d" % size)
    shift: dict[int, bytearray] = {}
    stored = base
    for start, length in extents:
        at = start
        while at < start + length:
            block = at // SPARSE_BLOCK
            count = min(start + length, (block + 1) * SPARSE_BLOCK) - at
            data = os.pread(fd, count, at if stored is None else stored + at - start)
            if len(data) != count:
                raise ActError("a file got shorter while it was read: a process still writes to the volume")
            shift = _collect(total, shift, block, at - block * SPARSE_BLOCK, data)
            at += count
        stored = None if stored is None else stored + length
    _flush(total, shift)
    return total.hexdigest()


def _collect(
    total: "hashlib._Hash", held: dict[int, bytearray], block: int, at: int, data: bytes
) -> dict[int, bytearray]:
    if block not in held:
        _flush(total, held)
        held = {block: bytearray(SPARSE_BLOCK)}
    held[block][at : at + len(data)] = data
    return held


def _flush(total: "hashlib._Hash", held: dict[int, bytearray]) -> None:
    for block, data in held.items():
        if data != _ZEROS:
            total.update(b"%d:" % block)
            total.update(data)


def used_bytes(root: Path) -> int:
    """Bytes the tree occupies on disk; of a live tree an estimate, as files come and go meanwhile."""
    total = 0
    for folder, names, others in os.walk(root):
        for name in (*names, *others):
            try:
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def printable(path: str) -> str:
    """A path for messages and records: bytes that are not UTF-8 as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()
