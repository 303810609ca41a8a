"""Single paths of volumes, out and in again. Effects: files below a volume.

The volume is a running app's: every step goes by folder descriptors and never through a link, so that no link that the
app plants leads to the host's own files.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from reconciler.model.errors import ActError
from reconciler.node.snapshots import content, members
from reconciler.ports.node import BackupFiles
from reconciler.state import files
from reconciler.state.descent import FOLDER, Descent

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class VolumeFiles(BackupFiles):
    """Plain files and folders only; whatever else is inside a folder is left out."""

    @override
    def take(self, volume: Path, paths: Sequence[str], to: Path) -> int:
        total = 0
        for path in paths:
            parts = Path(path).parts
            target = to.joinpath(*parts[:-1])
            try:
                fd = _descend(volume, parts[:-1])
                try:
                    if not _is_plain(os.stat(parts[-1], dir_fd=fd, follow_symlinks=False)):
                        raise ActError(f"{parts[-1]} is neither a file nor a folder")
                    target.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
                    total += _copy_to(fd, target, parts[-1], _Outwards())
                finally:
                    os.close(fd)
            except OSError as exc:
                raise ActError(f"{path} cannot be backed up: {exc.strerror}") from exc
        return total

    @override
    def give(self, volume: Path, paths: Sequence[str], source: Path) -> None:
        for path in paths:
            parts = Path(path).parts
            try:
                fd = _descend(volume, parts[:-1], source)
                saved = os.open(source.joinpath(*parts[:-1]), FOLDER)
                try:
                    _copy(saved, fd, parts[-1], _Inwards())
                finally:
                    os.close(saved)
                    os.close(fd)
            except OSError as exc:
                raise ActError(f"{path} cannot be restored: {exc.strerror}") from exc


def _is_plain(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)


class _Way(Protocol):
    """How entries are made in an open folder like what was found elsewhere."""

    def make_folder(self, folder: int, name: str, like: os.stat_result) -> None:
        """Make it, or leave it as it is."""

    def leave_folder(self, folder: int, like: os.stat_result) -> None:
        """All of its content is made."""

    def make_file(self, body: int, folder: int, name: str, like: os.stat_result) -> int:
        """Give it the content of an open file; says how many bytes of data."""


def _descend(root: Path, parts: Sequence[str], source: Path | None = None) -> int:
    """The folder below a volume; with `source`, missing ones are made as they are there."""
    fd = os.open(root, FOLDER)
    for part in parts:
        try:
            if source is not None:
                source = source / part
                _Inwards().make_folder(fd, part, source.stat())
            below = os.open(part, FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _copy_to(source: int, target: Path, name: str, way: _Way) -> int:
    fd = os.open(target, FOLDER)
    try:
        return _copy(source, fd, name, way)
    finally:
        os.close(fd)


def _copy(source: int, target: int, name: str, way: _Way) -> int:
    """One path from an open folder to another, with what is below it, at any depth. Gives the bytes of data."""
    here, there = Descent(source), Descent(target)
    waiting: list[tuple[list[str], os.stat_result]] = [([name], os.fstat(source))]
    total = 0
    try:
        while True:
            names, own = waiting[-1]
            if names:
                total += _copy_one(here, there, names.pop(), waiting, way)
                continue
            waiting.pop()
            if not waiting:
                return total
            way.leave_folder(there.folder, own)
            here.up()
            there.up()
    finally:
        here.close()
        there.close()


def _copy_one(
    here: Descent, there: Descent, name: str, waiting: list[tuple[list[str], os.stat_result]], way: _Way
) -> int:
    """A file, or into a folder."""
    found = os.stat(name, dir_fd=here.folder, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        way.make_folder(there.folder, name, found)
        here.down(name)
        there.down(name)
        waiting.append((sorted(os.listdir(here.folder), reverse=True), found))  # noqa: PTH208 - an open folder
        return 0
    if not stat.S_ISREG(found.st_mode):
        return 0
    body = os.open(name, _READ, dir_fd=here.folder)
    try:
        return way.make_file(body, there.folder, name, found)
    finally:
        os.close(body)


class _Outwards(_Way):
    """Into our own folders: private until they are whole."""

    @override
    def make_folder(self, folder: int, name: str, like: os.stat_result) -> None:
        try:
            os.mkdir(name, files.PRIVATE_DIR, dir_fd=folder)
        except FileExistsError:
            return

    @override
    def leave_folder(self, folder: int, like: os.stat_result) -> None:
        _make_like(folder, like)

    @override
    def make_file(self, body: int, folder: int, name: str, like: os.stat_result) -> int:
        return _write(body, folder, name, like)


class _Inwards(_Way):
    """Into an app's volume: a folder that is there stays as it is, a file changes in one step."""

    @override
    def make_folder(self, folder: int, name: str, like: os.stat_result) -> None:
        try:
            os.mkdir(name, files.PRIVATE_DIR, dir_fd=folder)
        except FileExistsError:
            return
        fd = os.open(name, FOLDER, dir_fd=folder)  # the app may have put a link in its place meanwhile
        try:
            _make_like(fd, like)
        finally:
            os.close(fd)

    @override
    def leave_folder(self, folder: int, like: os.stat_result) -> None:
        """It was made as it is to be."""

    @override
    def make_file(self, body: int, folder: int, name: str, like: os.stat_result) -> int:
        temp = f".ci-warm-{secrets.token_hex(6)}"
        total = _write(body, folder, temp, like)
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        return total


def _write(body: int, folder: int, name: str, like: os.stat_result) -> int:
    out = os.open(name, _NEW, files.PRIVATE_FILE, dir_fd=folder)
    try:
        total = _pour(body, out)
        _make_like(out, like)
        return total
    finally:
        os.close(out)


def _pour(source: int, out: int) -> int:
    """The data of a file, its holes as holes: an app may have made one of a terabyte. Gives the bytes of data."""
    size = os.fstat(source).st_size
    extents = content.data_extents(source, size)
    for start, length in extents:
        members.copy_range(source, out, start, start, length)
    os.ftruncate(out, size)
    return sum(length for _, length in extents)


def _make_like(fd: int, found: os.stat_result) -> None:
    """Owner first: changing it clears setuid."""
    os.fchown(fd, found.st_uid, found.st_gid)
    os.fchmod(fd, stat.S_IMODE(found.st_mode))
