"""Removes trees, whatever an app made of them. Effects: files.

No link is followed and no mount is entered; modes and inode flags that forbid it are taken away; a tree may be of any
depth. What cannot be removed all the same is named, and everything else goes.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.state import inode_flags
from reconciler.state.descent import Descent

_MOST_NAMED = 5


def remove_tree(path: Path) -> None:
    """Delete a folder or file; absent is fine.

    Raises:
        OSError: something in it cannot be removed; the rest is gone.
    """
    problem = try_to_remove(path)
    if problem is not None:
        raise OSError(errno.ENOTEMPTY, problem, str(path))


def try_to_remove(path: Path) -> str | None:
    """The same where it must be no obstacle; what could not be removed, in words, None: all is gone."""
    try:
        walk = Descent.open(path.parent, follow=True)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return f"{path.parent}: {exc.strerror}"
    try:
        work = _Removal(walk=walk, mount=_mount_of(walk.folder))
        work.run(path.name)
        return work.describe(path.parent)
    except OSError as exc:
        return f"{path}: {exc.strerror}"
    finally:
        walk.close()


def free_tree(path: Path) -> None:
    """Take away every inode flag that forbids removing, so that the engine can remove the tree; best effort."""
    try:
        walk = Descent.open(path.parent, follow=True)
    except OSError:
        return
    try:
        work = _Removal(walk=walk, mount=_mount_of(walk.folder), only_free=True)
        work.run(path.name)
    except OSError:
        return
    finally:
        walk.close()


@dataclass(kw_only=True)
class _Removal:
    """One tree on its way out. `only_free`: flags go, nothing else does."""

    walk: Descent
    mount: int
    only_free: bool = False
    problems: list[str] = field(default_factory=list)
    left: int = 0
    _path: list[str] = field(default_factory=list)
    _names: list[list[str]] = field(default_factory=list)

    def run(self, top: str) -> None:
        """Depth first, each folder after what is in it."""
        self._names = [[top]]
        while True:
            if self._names[-1]:
                self._one(self._names[-1].pop())
                continue
            self._names.pop()
            if not self._names:
                return
            self.walk.up()
            self._drop_folder(self._path.pop())

    def _one(self, name: str) -> None:
        try:
            found = os.stat(name, dir_fd=self.walk.folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                self._drop_file(name, found)
            else:
                self._enter(name, found)
        except FileNotFoundError:
            return
        except OSError as exc:
            self._note(name, exc.strerror)

    def _enter(self, name: str, found: os.stat_result) -> None:
        try:
            self.walk.down(name)
        except PermissionError:  # without any right on it not even its owner can open it; root always can
            os.chmod(name, 0o700, dir_fd=self.walk.folder)
            self.walk.down(name)
        if _mount_of(self.walk.folder) != self.mount:
            self.walk.up()
            self._note(name, "something is mounted here")
            return
        self._path.append(name)
        self._names.append([])  # whatever happens from here on, the way back up is taken
        try:
            inode_flags.release(self.walk.folder)
            if found.st_mode & 0o700 != 0o700 and not self.only_free:
                os.fchmod(self.walk.folder, 0o700)
            self._names[-1] = os.listdir(self.walk.folder)  # noqa: PTH208 - an open folder
        except OSError as exc:
            self._note(".", exc.strerror)

    def _drop_file(self, name: str, found: os.stat_result) -> None:
        if self.only_free:
            if stat.S_ISREG(found.st_mode):
                inode_flags.release_at(self.walk.folder, name)
            return
        try:
            os.unlink(name, dir_fd=self.walk.folder)
        except PermissionError:
            if not (stat.S_ISREG(found.st_mode) and inode_flags.release_at(self.walk.folder, name)):
                raise
            os.unlink(name, dir_fd=self.walk.folder)

    def _drop_folder(self, name: str) -> None:
        if self.only_free:
            return
        try:
            os.rmdir(name, dir_fd=self.walk.folder)
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:  # what keeps it was named already
                self._note(name, exc.strerror)

    def _note(self, name: str, why: str | None) -> None:
        self.left += 1
        if len(self.problems) < _MOST_NAMED:
            self.problems.append(f"{'/'.join((*self._path, name))}: {why}")

    def describe(self, parent: Path) -> str | None:
        """What was left, in words; None: nothing."""
        if not self.left:
            return None
        more = f" and {self.left - len(self.problems)} more" if self.left > len(self.problems) else ""
        text = "; ".join(_shorten(problem) for problem in self.problems)
        return f"{parent}: {text}{more}".encode("utf-8", "backslashreplace").decode()


def _mount_of(fd: int) -> int:
    """Which mount an open folder lies in. Without /proc its device must do.

    The device alone would not: what is bound from the same disk has the same one, a subvolume another one.
    """
    try:
        for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    except OSError:
        pass
    return os.fstat(fd).st_dev


def _shorten(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:120]} ... {text[-160:]}"
