"""Walks down and up a tree of any depth with few open files, and reaches paths of any length. Effects: opens folders.

A path has at most 4,096 bytes for the kernel, and a process only so many descriptors; an app may nest its folders
deeper than both. So a tree is walked by descriptors of which only the last few stay open. The way up from a folder
whose parent was closed goes by `..`, and must lead to the very folder that the way down came from.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 32
_MOST_BYTES = 4000
"""Of a path in one call; the kernel takes 4,095."""


@dataclass(slots=True)
class _Level:
    """A folder on the way. `fd` -1: closed, to be found again from below."""

    fd: int
    identity: tuple[int, int]


class Descent:
    """The way from a root to the folder at hand. Owns its descriptors, not the root's that it was given."""

    def __init__(self, root: int) -> None:
        self._levels = [_level(os.open(".", FOLDER, dir_fd=root))]
        self._oldest_open = 0

    @classmethod
    def open(cls, root: Path, *, follow: bool = False) -> "Descent":
        """Begin at a path. `follow`: it may be a link.

        Raises:
            OSError: it is no folder, or cannot be opened.
        """
        fd = os.open(root, FOLDER & ~os.O_NOFOLLOW if follow else FOLDER)
        try:
            return cls(fd)
        finally:
            os.close(fd)

    @property
    def folder(self) -> int:
        """The folder at hand; valid until the next step."""
        return self._levels[-1].fd

    @property
    def depth(self) -> int:
        """Folders above the one at hand."""
        return len(self._levels) - 1

    def down(self, name: str) -> None:
        """Go into a folder.

        Raises:
            OSError: there is none of that name, or a link.
        """
        self._levels.append(_level(os.open(name, FOLDER, dir_fd=self.folder)))
        if len(self._levels) - self._oldest_open > _MOST_OPEN:
            os.close(self._levels[self._oldest_open].fd)
            self._levels[self._oldest_open].fd = -1
            self._oldest_open += 1

    def up(self) -> None:
        """Go back to the folder above.

        Raises:
            OSError: ESTALE, the folder at hand was moved meanwhile.
        """
        parent = self._levels[-2]
        if parent.fd < 0:
            found = _level(os.open("..", FOLDER, dir_fd=self.folder))
            if found.identity != parent.identity:
                os.close(found.fd)
                raise OSError(errno.ESTALE, "a folder was moved while it was walked")
            parent.fd = found.fd
            self._oldest_open -= 1
        os.close(self._levels.pop().fd)

    def close(self) -> None:
        """Let go of everything."""
        for level in self._levels:
            if level.fd >= 0:
                os.close(level.fd)
        self._levels.clear()


def _level(fd: int) -> _Level:
    found = os.fstat(fd)
    return _Level(fd=fd, identity=(found.st_dev, found.st_ino))


class Place(NamedTuple):
    """An entry: the open folder that it lies in, its name there, and what it is."""

    folder: int
    name: str
    found: os.stat_result


def walk(root: Path) -> Iterator[Place]:
    """Everything below a folder, parents first; what goes meanwhile is left out.

    Raises:
        OSError: it cannot be opened; ESTALE, a folder was moved meanwhile.
    """
    way = Descent.open(root)
    waiting = [os.listdir(way.folder)]  # noqa: PTH208 - an open folder
    try:
        while True:
            while not waiting[-1]:
                waiting.pop()
                if not waiting:
                    return
                way.up()
            name = waiting[-1].pop()
            try:
                found = os.stat(name, dir_fd=way.folder, follow_symlinks=False)
                yield Place(folder=way.folder, name=name, found=found)
                if stat.S_ISDIR(found.st_mode):
                    way.down(name)
                    waiting.append(os.listdir(way.folder))  # noqa: PTH208 - an open folder
            except (FileNotFoundError, NotADirectoryError):
                continue
    finally:
        way.close()


@contextlib.contextmanager
def reach(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The open folder below `root` that a relative path of any length lies in, and its name or short path there.

    The folders on the way must be known to be none that a stranger could replace by links.
    """
    fd, rest = root, path
    try:
        while len(os.fsencode(rest)) > _MOST_BYTES:
            head, rest = _split(rest)
            below = os.open(head, FOLDER, dir_fd=fd)
            if fd != root:
                os.close(fd)
            fd = below
        yield fd, rest
    finally:
        if fd != root:
            os.close(fd)


def _split(path: str) -> tuple[str, str]:
    """As many leading folders as fit into one call, and the rest."""
    raw = os.fsencode(path)
    at = raw.rindex(b"/", 0, _MOST_BYTES)
    return os.fsdecode(raw[:at]), os.fsdecode(raw[at + 1 :])
