"""Room that is kept for our own records, so that a full disk stops no way back. Effects: `<state root>/.reserve/`.

Each piece is a file that has its blocks already. On a full disk a record is written into one of them, which then takes
the record's place: no program that fills the disk can be quicker, as nothing is freed on the way.
"""

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER, PIECES, PIECE_BYTES = ".reserve", 8, 128 << 10
_LEVELS = 4
"""Folders above a record in which the reserve is looked for."""


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """Bytes. `missing`: that cannot be kept for want of room; `free`: on that disk, if something is missing."""

    missing: int = 0
    free: int = 0


def fill(root: Path) -> Reserve:
    """Make the pieces that are not there, if that leaves as much room again."""
    folder = root / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        here = {path.name for path in folder.iterdir()}
        missing = [name for name in (f"piece-{number}" for number in range(PIECES)) if name not in here]
        while missing and _free(folder) >= 2 * PIECES * PIECE_BYTES and _make(folder / missing[-1]):
            missing.pop()
    except OSError:
        return Reserve(missing=PIECES * PIECE_BYTES, free=_free(root))
    return Reserve(missing=len(missing) * PIECE_BYTES, free=_free(root)) if missing else Reserve()


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _make(piece: Path) -> bool:
    """Under another name until it has its blocks, so that a crash leaves no hollow one."""
    new = piece.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # Written, not only promised: to write into promised blocks may need room for the disk's own notes.
        for _ in range(PIECE_BYTES >> 12):
            os.write(fd, bytes(4096))
        os.fsync(fd)
    except OSError:
        new.unlink(missing_ok=True)
        return False
    finally:
        os.close(fd)
    new.rename(piece)
    return True


def claim(folder: Path, name: Path) -> bool:
    """Give a file of that name the blocks of a piece, for a record in `folder`; False: there is no piece left."""
    for piece in _find(folder):
        try:
            piece.rename(name)
            return True
        except OSError:
            continue  # another process has it, or it lies on another disk
    return False


def release(folder: Path) -> bool:
    """Free a piece for what must grow in place; False: there is none left."""
    for piece in _find(folder):
        try:
            piece.unlink()
            return True
        except OSError:
            continue
    return False


def _find(folder: Path) -> list[Path]:
    """The pieces of the nearest reserve above a folder."""
    for above in (folder, *folder.parents)[:_LEVELS]:
        found = above / FOLDER
        if found.is_dir():
            return sorted(found.glob("piece-?"))
    return []
