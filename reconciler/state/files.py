"""The one atomic write, and folders with the right owner and mode. Effects: files.

Everything we promise on disk goes through here: temp file in the same folder, write loop, fsync, rename, fsync
folder. A failed fsync is never retried: after it the page is gone and a retry would lie.
"""

import contextlib
import ctypes
import errno
import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.state import reserve

PRIVATE_FILE, PRIVATE_DIR = 0o600, 0o700
PUBLIC_FILE, PUBLIC_DIR = 0o640, 0o750
ROOT_DIR = 0o751
"""The state root: others may pass through it, to what is published; what is in it has modes of its own."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk without room."""
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_LIBC = ctypes.CDLL(None, use_errno=True)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte; a short write is continued, as a full disk may give one without an error."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_all_at(fd: int, data: bytes, at: int) -> None:
    """The same at a place of the file, which is not where the next write goes."""
    done = os.pwrite(fd, data, at)
    while done < len(data):
        done += os.pwrite(fd, memoryview(data)[done:], at + done)


def sync_folder(folder: Path) -> None:
    """Make renames in this folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE_FILE, gid: int | None = None) -> None:
    """Replace `path` with `data` in one rename; on any error the old content stays and no temp file is left.

    On a full disk the reserve of the state root is used (`state.reserve`).

    Raises:
        OSError: no room, no permission, I/O error; it names the path.
    """
    # In the same folder, because a rename is atomic only within one file system. The process id keeps two
    # writers of one record apart; a leading dot hides a leftover from every glob for records.
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            _write_temp(temp, data, mode, gid)
        except OSError as exc:
            if exc.errno not in FULL or not reserve.claim(path.parent, temp):
                raise OSError(exc.errno, exc.strerror, str(path)) from exc
            _write_temp(temp, data, mode, gid)
        temp.rename(path)
    # Also for a signal that arrives here as an exception: a temporary file would be left for `doctor` to
    # find.
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temp.unlink()
        raise
    sync_folder(path.parent)


def _write_temp(temp: Path, data: bytes, mode: int, gid: int | None) -> None:
    """In place where the file is there: blocks that it has need not be found."""
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fchmod(fd, mode)
        if gid is not None:
            os.fchown(fd, -1, gid)
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path, mode: int = PRIVATE_DIR, gid: int | None = None) -> Path:
    """Create the folder with exactly this mode if it is absent; its parent must exist."""
    if not path.is_dir():
        # The mode is set a second time because mkdir takes the umask off it.
        path.mkdir(mode=mode, exist_ok=True)
        path.chmod(mode)
        if gid is not None:
            os.chown(path, -1, gid)
        sync_folder(path.parent)
    return path


def keep_folder(path: Path, mode: int = PRIVATE_DIR, gid: int | None = None) -> Path:
    """Create the folder, or give one that is there this mode and, with what it publishes, this group.

    Called at each start: a group may be made, or named in the settings, after the first one. `gid` None: as it is.
    """
    make_folder(path, mode, gid)
    found = path.stat()
    if gid is not None and found.st_gid != gid:
        # What lies in it first: a crash between the two is seen by the folder's group and made good at the next start.
        _publish_within(path, gid)
        os.chown(path, -1, gid)
        found = path.stat()
    # After the group: chown takes the set-gid bit off.
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)
    return path


def publish_file(path: Path, gid: int | None) -> None:
    """Give a file that groups may read this group, if it is there. `gid` None: it stays as it is."""
    if gid is None:
        return
    with contextlib.suppress(FileNotFoundError):
        if path.stat(follow_symlinks=False).st_gid != gid:
            os.chown(path, -1, gid, follow_symlinks=False)


def _publish_within(folder: Path, gid: int) -> None:
    """Plain files and folders that their group may read; what is private is neither given nor entered."""
    for path in folder.iterdir():
        found = path.lstat()
        if found.st_uid != os.geteuid() or not found.st_mode & stat.S_IRGRP:
            continue
        if stat.S_ISDIR(found.st_mode):
            _publish_within(path, gid)
        if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
            os.chown(path, -1, gid, follow_symlinks=False)


def list_folder(folder: Path, suffix: str) -> list[str]:
    """Names with this suffix in order, without hidden ones; none if there is no such folder.

    Raises:
        StateError: it cannot be read, which is not the same as empty.
    """
    try:
        # Not glob: that passes over a folder that it may not read.
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise StateError(str(folder), f"cannot be read: {exc.strerror}") from exc
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))


def exchange(one: Path, other: Path) -> None:
    """Swap two paths of one file system atomically, then make it durable.

    Raises:
        OSError: one is missing, or the file system cannot.
    """
    # Two plain renames would leave a moment at which neither name has its tree, and a crash there would lose
    # the data's place. Python has no call for the exchange.
    result = _LIBC.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one), None, str(other))
    sync_folder(one.parent)
    if other.parent != one.parent:
        sync_folder(other.parent)


def group_id(name: str) -> int | None:
    """The group that may read what is published; None if the host has none or we may not give files to it."""
    try:
        gid = grp.getgrnam(name).gr_gid
    except KeyError:
        return None
    return gid if os.geteuid() == 0 or gid in os.getgroups() else None


def check_root(root: Path) -> None:
    """Refuse a state root that another user could change.

    Raises:
        StateError: a symlink, not a folder, not ours, or writable by group or world.
    """
    try:
        found = root.lstat()
    except OSError as exc:
        raise StateError(str(root), f"state root: {exc.strerror}") from exc
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(str(root), "state root is not a folder (a symlink is refused)")
    if found.st_uid != os.geteuid():
        raise StateError(str(root), f"state root belongs to uid {found.st_uid}, not to us ({os.geteuid()})")
    # A user who can write here could put links or records in our way, and we act as root.
    if found.st_mode & 0o022:
        raise StateError(str(root), f"state root is writable by others (mode {stat.S_IMODE(found.st_mode):04o})")


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    """Set the umask for a while."""
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)
