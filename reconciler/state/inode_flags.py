"""Inode flags, as chattr sets them: read, set, and taken away where they forbid removing. Effects: inodes.

`immutable` and `append` make an inode refuse even root. Only plain files and folders have flags that can be changed.
"""

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

_SIZE = struct.calcsize("l") << 16
_GET, _SET = 0x80006601 | _SIZE, 0x40006602 | _SIZE
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS: they are declared for a long, and work on an int."""
_INT = bytes(8)
IMMUTABLE, APPEND, NOCOW = 0x10, 0x20, 0x800000
FORBIDDING = IMMUTABLE | APPEND
NAMES = {
    0x1: "secure-delete",
    0x2: "undelete",
    0x4: "compress",
    0x8: "sync",
    IMMUTABLE: "immutable",
    APPEND: "append",
    0x40: "nodump",
    0x80: "noatime",
    0x4000: "journal-data",
    0x8000: "notail",
    0x10000: "dirsync",
    0x20000: "topdir",
    NOCOW: "nocow",
}
KEPT = sum(NAMES)
"""Flags that people and apps set; others (extents, encrypted, verity) say how the file system stores something."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNKNOWN_HERE = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def read(fd: int) -> int:
    """The flags that are kept of an open file or folder; 0 where the file system has none."""
    return _read_all(fd) & KEPT


def _read_all(fd: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(fd, _GET, _INT)[:4], sys.byteorder)
    except OSError as exc:
        if exc.errno in (*_UNKNOWN_HERE, errno.EPERM):
            return 0
        raise


def read_at(folder: int, name: str) -> int:
    """The same of a plain file or folder by its name; 0 if we may not open it, as then it cannot be read either."""
    try:
        fd = os.open(name, _OPEN, dir_fd=folder)
    except PermissionError:
        return 0
    try:
        return read(fd)
    finally:
        os.close(fd)


def set_at(path: Path, flags: int) -> str:
    """`write` by path; no link is followed.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, _OPEN)
    try:
        return write(fd, flags)
    finally:
        os.close(fd)


def write(fd: int, flags: int) -> str:
    """Make the flags these, of those that are kept; gives the names of those that cannot be set here, '' if all are."""
    before = _read_all(fd)
    if before & KEPT == flags:
        return ""
    wanted = (before & ~KEPT) | flags
    for attempt in (wanted, wanted & ~FORBIDDING):  # these two need a capability of their own
        try:
            fcntl.ioctl(fd, _SET, struct.pack("=II", attempt, 0))
            break
        except OSError as exc:
            if exc.errno not in (*_UNKNOWN_HERE, errno.EPERM, errno.EACCES):
                raise
    return describe(flags & ~read(fd))


def release(fd: int) -> bool:
    """Take away what forbids to change, rename or remove; says whether there was something and it is gone."""
    before = _read_all(fd)
    if not before & FORBIDDING:
        return False
    return not write(fd, before & KEPT & ~FORBIDDING) and not read(fd) & FORBIDDING


def release_at(folder: int, name: str) -> bool:
    """The same of a plain file or folder by its name; no link is followed."""
    try:
        fd = os.open(name, _OPEN, dir_fd=folder)
    except OSError:
        return False  # a link, a socket, a device that is none here: these have no such flags
    try:
        return release(fd)
    finally:
        os.close(fd)


def release_path(path: Path) -> int:
    """The same by path; gives the flags that it had. A folder with such flags cannot even be renamed.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, _OPEN)
    try:
        before = read(fd)
        release(fd)
        return before
    finally:
        os.close(fd)


def describe(flags: int) -> str:
    """Flags by name, for people."""
    return ", ".join(name for bit, name in NAMES.items() if flags & bit)
