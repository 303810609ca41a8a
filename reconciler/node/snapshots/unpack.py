"""Builds a tree from an archive and its index, and compares a tree with an index. Effects: files below one folder.

Driven by the sealed index, never by tar headers, and through directory descriptors: whatever an archive says,
nothing outside the target folder can be written.
"""

import base64
import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.node.snapshots import content, tree, unchanged
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.members import copy_range
from reconciler.node.snapshots.tree import Entry
from reconciler.state import inode_flags
from reconciler.state.descent import FOLDER, Descent, reach

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Files of the tree that is replaced which need no copy: they get a second name in the new one."""

    live: Path
    paths: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """`remarks`: inode flags that this file system does not take, or that we may not set, in words.

    `root_flags`: of the tree's root, which would forbid to move it and are set by the code that moves it.
    """

    remarks: tuple[str, ...]
    root_flags: int


def unpack(
    archive: Path, entries: Iterable[Entry], target: Path, kept: Kept | None = None, reach: Reach = unheard
) -> Unpacked:
    """Fill the new, empty folder `target` with the entries; the root entry's owner and mode are set on it.

    `reach`: bytes of the archive.

    Raises:
        StateError: an entry that no archive of ours has (a path that leaves, a parent that is no folder ...).
        OSError: no room, or an attribute that may not be set here.
    """
    source = os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    root = os.open(target, FOLDER)
    live = os.open(kept.live, FOLDER) if kept is not None else -1
    unpacker = _Unpacker(source, root, live, kept.paths if kept is not None else frozenset(), reach)
    try:
        unpacker.run(entries)
        if _LIBC.syncfs(root) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        unpacker.close()
        for fd in (source, root, *([live] if live >= 0 else [])):
            os.close(fd)
    return Unpacked(remarks=tuple(unpacker.remarks), root_flags=unpacker.root_flags)


class _Unpacker:
    """Stands in the folder that the entry at hand lies in; `_open`: the entries of that folder and those above it."""

    def __init__(self, source: int, root: int, live: int, kept: frozenset[str], reach: Reach) -> None:
        self._reach = reach
        self._live = live
        self._kept = kept
        self._source = source
        self._root = root
        self._way = Descent(root)
        self._path = "."
        self._open: list[Entry] = []
        self._files: set[str] = set()
        self._forbidding: list[Entry] = []
        self.remarks: list[str] = []
        self.root_flags = 0

    def close(self) -> None:
        self._way.close()

    def run(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._one(entry)
        while self._open:
            self._leave()
        # Last of all: an inode with these gets no second name any more.
        for entry in self._forbidding:
            with reach(self._root, entry.path) as (folder, name):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    self._set_flags(fd, entry.path, entry.flags)
                finally:
                    os.close(fd)

    def _one(self, entry: Entry) -> None:
        if not self._open:
            if entry.path != "." or entry.type != tree.FOLDER:
                raise StateError(entry.path, "the first entry must be the root folder")
            self._open.append(entry)
            return
        parent, name = check_path(entry.path)
        while self._path != parent:
            self._leave()
            if not self._open:
                raise StateError(tree.printable(entry.path), "its folder does not come before it")
        self._make(entry, self._way.folder, name)

    def _leave(self) -> None:
        """Set a folder's own attributes, once its content no longer changes its times."""
        fd, entry = self._way.folder, self._open.pop()
        _set_owner(fd, entry)
        os.fchmod(fd, entry.mode)
        _set_xattrs(fd, entry)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        if self._open:
            self._set_flags(fd, self._path, entry.flags)
            self._way.up()
            self._path = self._path.rpartition("/")[0] or "."
        else:
            self.root_flags = entry.flags

    def _set_flags(self, fd: int, path: str, flags: int) -> None:
        if flags and (unset := inode_flags.write(fd, flags)):
            self.remarks.append(f"{tree.printable(path)}: flags cannot be put back here: {unset}")

    def _make(self, entry: Entry, folder: int, name: str) -> None:
        match entry.type:
            case tree.FOLDER:
                os.mkdir(name, 0o700, dir_fd=folder)
                self._way.down(name)
                self._path = entry.path
                entry.path = ""  # a long one for each folder above would be a lot
                self._open.append(entry)
            case tree.FILE:
                if entry.path in self._kept:
                    unchanged.link(self._live, folder, name, entry.path)
                else:
                    self._file(entry, folder, name)
                self._files.add(entry.path)
            case tree.HARD:
                if entry.target not in self._files:
                    raise StateError(entry.path, "is a hard link to something that was not unpacked before")
                with reach(self._root, entry.target) as (source, short):
                    os.link(short, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
            case tree.LINK:
                os.symlink(entry.target, name, dir_fd=folder)
                _finish_special(entry, folder, name)
            case tree.FIFO | tree.CHAR | tree.BLOCKDEV:
                kinds = {tree.FIFO: stat.S_IFIFO, tree.CHAR: stat.S_IFCHR, tree.BLOCKDEV: stat.S_IFBLK}
                os.mknod(name, kinds[entry.type] | 0o600, os.makedev(*entry.device), dir_fd=folder)
                _finish_special(entry, folder, name)
                Path(f"/proc/self/fd/{folder}/{name}").chmod(entry.mode)
            case _:
                raise StateError(entry.path, f"has the unknown type {entry.type!r}")

    def _file(self, entry: Entry, folder: int, name: str) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=folder)
        try:
            if entry.flags & inode_flags.NOCOW:
                inode_flags.write(fd, inode_flags.NOCOW)  # only a file without content takes it
            self._reach(entry.offset)
            at = entry.offset
            for start, length in entry.extents if entry.extents is not None else ((0, entry.size),):
                if start < 0 or length < 0 or start + length > entry.size:
                    raise StateError(entry.path, "has data outside its size")
                if length:
                    copy_range(self._source, fd, at, start, length, self._from(at))
                at += length
            os.ftruncate(fd, entry.size)
            _set_owner(fd, entry)
            os.fchmod(fd, entry.mode)  # after chown, which clears setuid
            _set_xattrs(fd, entry)  # after chown, which clears capabilities
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            if entry.flags & inode_flags.FORBIDDING:
                self._forbidding.append(entry)
            else:
                self._set_flags(fd, entry.path, entry.flags)
        finally:
            os.close(fd)

    def _from(self, at: int) -> Reach:
        return lambda done: self._reach(at + done)


def check_path(path: str) -> tuple[str, str]:
    """Split a relative path into (parent, name).

    Raises:
        StateError: absolute, empty parts, `.` or `..`, NUL.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path:
        raise StateError(path, "is not a path inside a volume")
    return "/".join(parts[:-1]) or ".", parts[-1]


def _set_owner(fd: int, entry: Entry) -> None:
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
        os.fchown(fd, entry.uid, entry.gid)


def _set_xattrs(fd: int, entry: Entry) -> None:
    for name, value in entry.xattrs.items():
        os.setxattr(fd, name, base64.b64decode(value))


def _finish_special(entry: Entry, folder: int, name: str) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
        os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
    for key, value in entry.xattrs.items():
        os.setxattr(f"/proc/self/fd/{folder}/{name}", key, base64.b64decode(value), follow_symlinks=False)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)


def compare(
    root: Path, entries: Iterable[Entry], kept: frozenset[str] = frozenset(), reach: Reach = unheard
) -> Iterator[str]:
    """Name every difference between a tree and an index: entries, attributes, content; nothing = equal.

    The content of `kept` files is not read: they are the very files that were judged unchanged. `reach`: bytes, as if
    they were read from the archive.

    Sockets in the tree do not count: they are no data and are not archived.
    """
    visits = (visit for visit in tree.walk(root) if visit.entry.type != tree.SOCKET)
    for visit, want in zip_longest(visits, entries):
        if visit is None or want is None:
            path = visit.entry.path if visit else want.path if want else "?"
            yield f"{path}: {'not in the snapshot' if visit else 'missing'}"
            return
        have = visit.entry
        if have.type == tree.FILE:
            is_kept = have.path in kept
            have.digest = want.digest if is_kept else _digest(visit, want, reach)
        found, wanted = have.same(), want.same()
        if found == wanted:
            continue
        unlike = [name for name, a, b in zip(tree.SAME, found, wanted, strict=True) if a != b]
        yield f"{want.path}: differs in {', '.join(unlike)}"
        if "path" in unlike:
            return  # from here on everything is shifted


def _digest(visit: tree.Visit, want: Entry, reach: Reach) -> str:
    fd = os.open(visit.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=visit.folder)
    try:
        return content.digest_like(want, fd, visit.entry.size, reach=want.within(reach))
    finally:
        os.close(fd)
