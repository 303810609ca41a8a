"""A volume's tree, entry by entry, read through directory descriptors only. Effects: reads files.

The app that wrote the tree may have planted links; nothing here follows one or opens a path by name.
"""

import base64
import errno
import json
import os
import stat
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.state import descent
from reconciler.state.descent import Descent

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
TYPES = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: LINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCKDEV,
    stat.S_IFIFO: FIFO,
    stat.S_IFSOCK: SOCKET,
}
FORMAT = 0o170000
"""The bits of a mode that say what kind of entry it is."""
SAME = ("path", "type", "mode", "uid", "gid", "mtime_ns", "size", "target", "device", "xattrs", "digest")
"""What of an entry must be equal after a restore; of flags what the file system takes, see `unpack`."""
_NUMBERS = attrgetter("mode", "uid", "gid", "mtime_ns", "size", "offset", "flags")
_OPTIONAL = ("size", "target", "xattrs", "digest", "flags")
_OPTIONALS = attrgetter(*_OPTIONAL)
_TEXTS = attrgetter("path", "type", "target", "digest")
_SAME = attrgetter(*SAME)
_encode = json.JSONEncoder(separators=(",", ":")).encode
_WRITES = "a process still writes to the volume"


@dataclass(kw_only=True, slots=True)
class Entry:
    """One entry. `path` is relative with `.` for the root; bytes that are not UTF-8 are surrogates.

    `digest`: of the content (see `content.digest_like`); `offset`: of the body in the archive, -1 = no body.
    `extents`: data ranges of a sparse file, in stored order. `xattrs`: name -> base64. `flags`: `state.inode_flags`.
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
    flags: int = 0

    def same(self) -> tuple[object, ...]:
        """What must be equal after a restore."""
        found: tuple[object, ...] = _SAME(self)
        return found

    def within(self, reach: Callable[[int], None]) -> Callable[[int], None]:
        """Counts bytes of this body for one who counts those of the archive."""
        return lambda done: reach(self.offset + done)

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
        found |= {name: value for name, value in zip(_OPTIONAL, _OPTIONALS(self), strict=True) if value}
        if self.offset >= 0:
            found["offset"] = self.offset
        if self.device != (0, 0):
            found["device"] = list(self.device)
        if self.extents is not None:
            found["extents"] = [list(extent) for extent in self.extents]
        return found

    def to_line(self) -> bytes:
        """A line of the entries file."""
        return _encode(self.to_json()).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """Read back what `to_line` wrote; raises as `from_json`."""
        return cls.from_json(json.loads(line))

    @classmethod
    def from_json(cls, data: Json) -> "Entry":
        """Read back what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: not such an object.
        """
        device, extents = data.pop("device", None), data.pop("extents", None)
        entry = cls(**data)
        # Sets of types, and not one question each: a restore asks for every one of a million small files.
        numbers = {*map(type, _NUMBERS(entry))}
        texts = {*map(type, _TEXTS(entry)), *map(type, dict(entry.xattrs).values())}
        if numbers != {int} or texts != {str} or entry.size < 0:
            raise ValueError("an entry has a field of the wrong type")
        if isinstance(device, list):
            entry.device = (int(device[0]), int(device[1]))
        if isinstance(extents, list):
            entry.extents = tuple((int(start), int(length)) for start, length in extents)
        return entry


@dataclass(kw_only=True, slots=True)
class Visit:
    """An entry with what is needed to read its body: the open folder it lies in and its name there."""

    entry: Entry
    folder: int
    name: str
    found: os.stat_result


class Place(NamedTuple):
    """Where an entry is and what it is, without what must be asked for besides.

    `first`: the path of the name by which this file was met first; '' where it has one name only.
    """

    path: str
    folder: int
    name: str
    found: os.stat_result
    first: str


def walk(root: Path) -> Generator[Visit, None, None]:
    """Every entry below and including `root`, parents first, names in byte order. Inode flags are not read.

    Raises:
        ActError: something vanished or was moved meanwhile, so a process still writes.
    """
    for place in walk_places(root):
        try:
            yield Visit(entry=read_entry(place), folder=place.folder, name=place.name, found=place.found)
        except FileNotFoundError as exc:
            raise ActError(f"{exc.filename} vanished while it was read: {_WRITES}") from exc


def walk_places(root: Path, *, live: bool = False) -> Generator[Place, None, None]:
    """The same, and only what a folder and a stat say. `live`: what vanishes meanwhile is left out.

    Raises:
        ActError: something vanished or was moved meanwhile, so a process still writes; `live`: moved.
    """
    way = Descent.open(root)
    try:
        yield from _visit_all(way, live=live)
    except FileNotFoundError as exc:
        raise ActError(f"{exc.filename} vanished while it was read: {_WRITES}") from exc
    except OSError as exc:
        if exc.errno != errno.ESTALE:
            raise
        raise ActError(f"{exc.strerror}: {_WRITES}") from exc
    finally:
        way.close()


def _visit_all(way: Descent, *, live: bool) -> Generator[Place, None, None]:
    links: dict[tuple[int, int], str] = {}
    path, waiting = ".", [["."]]
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            if way.depth:
                way.up()
            path = path.rpartition("/")[0] or "."
            continue
        name = waiting[-1].pop()
        inner = name if path == "." else f"{path}/{name}"
        try:
            found = os.stat(name, dir_fd=way.folder, follow_symlinks=False)
            first = ""
            if found.st_nlink > 1 and found.st_mode & FORMAT == stat.S_IFREG:
                first = links.setdefault((found.st_dev, found.st_ino), inner)
            yield Place(inner, way.folder, name, found, first)
            if found.st_mode & FORMAT == stat.S_IFDIR:
                if inner != ".":
                    way.down(name)
                path = inner
                waiting.append(_names(way.folder))
        except (FileNotFoundError, NotADirectoryError):
            if not live:
                raise


def _names(folder: int) -> list[str]:
    return sorted(os.listdir(folder), key=os.fsencode, reverse=True)


def read_entry(place: Place) -> Entry:
    """Ask for the rest: attributes, and where a link leads. Inode flags are not read.

    Raises:
        FileNotFoundError: it is gone.
    """
    found, kind = place.found, TYPES[place.found.st_mode & FORMAT]
    target, size = "", 0
    if kind == FILE:
        if place.first in ("", place.path):
            size = found.st_size
        else:
            kind, target = HARD, place.first
    elif kind == LINK:
        target = os.readlink(place.name, dir_fd=place.folder)
    return Entry(
        path=place.path,
        type=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
        size=size,
        target=target,
        device=(os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in (CHAR, BLOCKDEV) else (0, 0),
        xattrs=_xattrs(f"/proc/self/fd/{place.folder}/{place.name}"),
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


def used_bytes(root: Path) -> int:
    """Bytes the tree occupies on disk; of a live tree an estimate, as files come and go meanwhile."""
    total, counted = 0, set[tuple[int, int]]()
    for place in descent.walk(root):
        found = place.found
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in counted:
                continue
            counted.add((found.st_dev, found.st_ino))
        total += found.st_blocks * 512
    return total


def printable(path: str) -> str:
    """A path for messages and records: bytes that are not UTF-8 as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()
