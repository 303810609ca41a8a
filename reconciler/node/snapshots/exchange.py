"""A volume's data replaced whole, once per operation, at whatever moment the program dies. Effects: beside the volume.

The new tree is built beside the old one, a mark says which inode it has, the two change places in one step, and the old
data stays aside until the caller forgets it. A second call with the same operation goes on where the first one stopped.
Every try and every aside has a name of its own, and what is given up gets another before it is removed: so nothing that
cannot be removed ever stands in the way.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import ActError
from reconciler.ports.node import Leftover
from reconciler.state import files, inode_flags, removal

_STAGED, _MARK, _ASIDE, _TRASH = ".ci-warm-staged-", ".ci-warm-mark-", ".ci-warm-aside-", ".ci-warm-trash-"
Build = Callable[[Path], int]
"""Fills the new folder; gives the inode flags that its root gets once it stands in its place."""


class NoRoomError(Exception):
    """The new tree does not fit beside the old one, which stands."""


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """What was built. `inode`: of the new root, wherever it lies; `flags`: that it gets in its place."""

    staged: str
    inode: int
    flags: int


def replace(data: Path, op_id: str, build: Build, effect: Callable[[str], None]) -> str:
    """Exchange a volume's data for what `build` makes in the folder that it is given; the old data ends up aside.

    Gives the inode flags that the new root cannot get here, by name.

    Raises:
        NoRoomError: the old data stands, and nothing is left of the try.
        ActError: another file system error; the old data stands, or the new one whole.
        Whatever `build` raises: nothing was exchanged.
    """
    try:
        mark = _read_mark(data, op_id)
        # The inode tells a later run whether the exchange happened: then it stands in the volume's place.
        if mark is None or mark.inode != data.stat().st_ino:
            mark = _stage(data, op_id, build)
            effect("restore:staged")
            _exchange(data.with_name(mark.staged), data)
            effect("restore:exchanged")
        staged = data.with_name(mark.staged)
        if staged.exists():  # it holds the data that was replaced
            staged.rename(_new_name(data, f"{_ASIDE}{op_id}."))
            files.sync_folder(data.parent)
        return inode_flags.set_at(data, mark.flags)
    except OSError as exc:
        if exc.errno in files.FULL:
            raise NoRoomError(str(data)) from exc
        raise ActError(f"{data}: restore failed: {exc.strerror or exc}", host_fault=True) from exc


def is_done(data: Path, op_id: str) -> bool:
    """Say whether this operation has replaced the data already."""
    mark = _read_mark(data, op_id)
    return mark is not None and mark.inode == data.stat().st_ino


def _stage(data: Path, op_id: str, build: Build) -> _Mark:
    for old in _beside(data):
        _throw_away(data, old)
    staged, mark = _new_name(data, f"{_STAGED}{op_id}."), data.with_name(_MARK + op_id)
    staged.mkdir(mode=0o700)
    try:
        flags = build(staged)
        made = _Mark(staged=staged.name, inode=staged.stat().st_ino, flags=flags)
        files.write_atomic(mark, json.dumps(made.__dict__).encode())
    except BaseException:
        _throw_away(data, staged)
        raise
    return made


def _exchange(staged: Path, data: Path) -> None:
    before = inode_flags.release_path(data)
    try:
        files.exchange(staged, data)
    except BaseException:
        inode_flags.set_at(data, before)
        raise


def _read_mark(data: Path, op_id: str) -> _Mark | None:
    """None: there is none, or it is torn or foreign, which makes a new try."""
    try:
        found = json.loads(data.with_name(_MARK + op_id).read_bytes())
        mark = _Mark(staged=str(found["staged"]), inode=int(found["inode"]), flags=int(found["flags"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return mark if mark.staged.startswith(_STAGED) and "/" not in mark.staged else None


def _new_name(data: Path, prefix: str) -> Path:
    return data.with_name(f"{prefix}{secrets.token_hex(3)}")


def _beside(data: Path, *prefixes: str) -> list[Path]:
    """What restores left beside a volume's data, whatever of it is given up already."""
    wanted = prefixes or (_STAGED, _MARK, _ASIDE)
    return [path for prefix in wanted for path in sorted(data.parent.glob(f"{prefix}*"))]


def _throw_away(data: Path, path: Path) -> None:
    """Remove it; what cannot be removed stays as trash, which is never in the way."""
    try:
        inode_flags.release_path(path)
        path = path.rename(_new_name(data, _TRASH))
    except OSError:
        pass  # so be it under its old name
    removal.try_to_remove(path)


def asides(data: Path, op_id: str) -> list[Path]:
    """Data that this operation replaced and kept."""
    return _beside(data, f"{_ASIDE}{op_id}.")


def forget(data: Path) -> list[Leftover]:
    """Delete everything that restores left beside a volume's data; what could not be."""
    for path in _beside(data):
        _throw_away(data, path)
    found = ((path, removal.try_to_remove(path)) for path in _beside(data, _STAGED, _MARK, _ASIDE, _TRASH))
    return [Leftover(path=str(path), why=why) for path, why in found if why is not None]


def retry_removals(data: Path) -> list[Leftover]:
    """Delete what was given up before and could not be removed; what still cannot be."""
    found = ((path, removal.try_to_remove(path)) for path in _beside(data, _TRASH))
    return [Leftover(path=str(path), why=why) for path, why in found if why is not None]
