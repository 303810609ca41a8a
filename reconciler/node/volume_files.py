"""Single paths of volumes, out and in again. Effects: files below a volume.

The volume is a running app's: every step goes by folder descriptors and never through a link, so that no link that the
app plants leads to the host's own files.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.model.errors import ActError
from reconciler.node.snapshots import archive, content
from reconciler.ports.node import BackupFiles
from reconciler.state import files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class VolumeFiles(BackupFiles):
    """Plain files and folders only; whatever else is inside a folder is left out."""

    @override
    def take(self, volume: Path, paths: Sequence[str], to: Path) -> int:
        total = 0
        for path in paths:
            parts = Path(path).parts
            try:
                fd = _descend(volume, parts[:-1])
                try:
                    target = to.joinpath(*parts[:-1])
                    target.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
                    total += _copy(fd, parts[-1], target, required=True)
                finally:
                    os.close(fd)
            except (OSError, RecursionError) as exc:
                reason = getattr(exc, "strerror", None) or "nested too deep"
                raise ActError(f"{path} cannot be backed up: {reason}") from exc
        return total

    @override
    def give(self, volume: Path, paths: Sequence[str], source: Path) -> None:
        for path in paths:
            parts = Path(path).parts
            try:
                fd = _descend(volume, parts[:-1], source)
                try:
                    _put(source.joinpath(*parts), fd, parts[-1])
                finally:
                    os.close(fd)
            except OSError as exc:
                raise ActError(f"{path} cannot be restored: {exc.strerror}") from exc


def _descend(root: Path, parts: Sequence[str], source: Path | None = None) -> int:
    """The folder below a volume; with `source`, missing ones are made as they are there."""
    fd = os.open(root, _FOLDER)
    for part in parts:
        try:
            if source is not None:
                source = source / part
                _make(fd, part, source.stat())
            below = os.open(part, _FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _make(folder: int, name: str, like: os.stat_result) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return
    fd = os.open(name, _FOLDER, dir_fd=folder)  # the app may have put a link in its place meanwhile
    try:
        os.fchown(fd, like.st_uid, like.st_gid)
        os.fchmod(fd, stat.S_IMODE(like.st_mode))
    finally:
        os.close(fd)


def _copy(folder: int, name: str, to: Path, *, required: bool = False) -> int:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        fd = os.open(name, _FOLDER, dir_fd=folder)
        try:
            target = to / name
            target.mkdir(mode=files.PRIVATE_DIR, exist_ok=True)
            total = sum(_copy(fd, child, target) for child in sorted(os.listdir(fd)))  # noqa: PTH208 - an open folder
            _like(target, found)
            return total
        finally:
            os.close(fd)
    if not stat.S_ISREG(found.st_mode):
        if required:
            raise ActError(f"{name} is neither a file nor a folder")
        return 0
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as source, (to / name).open("xb") as out:
        total = _pour(source.fileno(), out.fileno())
    _like(to / name, found)
    return total


def _pour(source: int, out: int) -> int:
    """The data of a file, its holes as holes: an app may have made one of a terabyte. Gives the bytes of data."""
    size = os.fstat(source).st_size
    extents = content.data_extents(source, size)
    for start, length in extents:
        archive.copy_range(source, out, start, start, length)
    os.ftruncate(out, size)
    return sum(length for _, length in extents)


def _like(path: Path, found: os.stat_result) -> None:
    """Owner first: changing it clears setuid."""
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode))


def _put(source: Path, folder: int, name: str) -> None:
    found = source.stat()
    if source.is_dir():
        _make(folder, name, found)
        fd = os.open(name, _FOLDER, dir_fd=folder)
        try:
            for child in sorted(source.iterdir()):
                _put(child, fd, child.name)
        finally:
            os.close(fd)
        return
    temp = f".ci-warm-{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temp, flags, files.PRIVATE_FILE, dir_fd=folder)
    with source.open("rb") as body, os.fdopen(fd, "wb") as out:
        _pour(body.fileno(), out.fileno())
        os.fchown(out.fileno(), found.st_uid, found.st_gid)
        os.fchmod(out.fileno(), stat.S_IMODE(found.st_mode))
    os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
