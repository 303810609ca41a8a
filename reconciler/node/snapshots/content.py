"""What a file holds, as ranges of data and as a digest. Effects: reads files."""

import errno
import hashlib
import os
from collections.abc import Callable

from reconciler.model.errors import ActError
from reconciler.node.snapshots import blocks
from reconciler.node.snapshots.tree import Entry

BLOCK = 1 << 20
SPARSE_BLOCK = 64 << 10
_ONCE = 64 << 10
"""Bytes that are read in one go, as a buffer costs more than reading so few."""
_ZEROS = bytes(SPARSE_BLOCK)
Reach = Callable[[int], None]
"""Called with how many bytes of something are done by now."""


def unheard(_done: int) -> None:
    """Nobody asks how much is done."""


def data_extents(fd: int, size: int) -> tuple[tuple[int, int], ...]:
    """(start, length) of each data range; holes are between them."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                break
            raise
        if start >= size:
            break  # it grew meanwhile
        at = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        found.append((start, at - start))
    return tuple(found)


def is_sparse(found: os.stat_result) -> bool:
    """Say whether a file has holes worth keeping."""
    return found.st_size >= SPARSE_BLOCK and found.st_blocks * 512 < found.st_size


def digest_like(want: Entry, fd: int, size: int, reach: Reach = unheard) -> str:
    """The digest of a file that is open, of the kind that an index has for it. `reach` counts bytes of data.

    Raises:
        ActError: the file got shorter meanwhile.
    """
    if want.digest.startswith(blocks.MARK):
        return blocks.digest(fd, size, data_extents(fd, size), reach=reach)
    if want.extents is not None:
        return sparse_digest(fd, data_extents(fd, size), size, reach=reach)
    return range_digest(fd, 0, size, reach)


def digest_inside(entry: Entry, archive: int, reach: Reach = unheard) -> str:
    """The digest of an entry's body in its archive.

    Raises:
        ActError: the archive is cut short.
    """
    if entry.digest.startswith(blocks.MARK):
        return blocks.digest(archive, entry.size, entry.extents, base=entry.offset, reach=reach)
    if entry.extents is not None:
        return sparse_digest(archive, entry.extents, entry.size, entry.offset, reach)
    return range_digest(archive, entry.offset, entry.size, reach)


def range_digest(fd: int, start: int, size: int, reach: Reach = unheard) -> str:
    """sha256 of `size` bytes from `start`."""
    if size <= _ONCE:
        data = os.pread(fd, size, start)
        if len(data) == size:
            reach(size)
            return hashlib.sha256(data).hexdigest()
    total = hashlib.sha256()
    buffer = memoryview(bytearray(min(BLOCK, max(1, size))))
    end = start + size
    while start < end:
        count = os.preadv(fd, [buffer[: min(len(buffer), end - start)]], start)
        if count == 0:
            raise ActError(blocks.GOT_SHORTER)
        total.update(buffer[:count])
        start += count
        reach(size - (end - start))
    return total.hexdigest()


def sparse_digest(
    fd: int, extents: tuple[tuple[int, int], ...], size: int, base: int | None = None, reach: Reach = unheard
) -> str:
    """How older snapshots have sparse files: sha256 of (number, block) of each block that is not all zeros (ADR 0022).

    `base`: read the ranges one after another from there (an archive), not in place.
    """
    total = hashlib.sha256(b"%d" % size)
    shift: dict[int, bytearray] = {}
    stored, done = base, 0
    for start, length in extents:
        at = start
        while at < start + length:
            block = at // SPARSE_BLOCK
            count = min(start + length, (block + 1) * SPARSE_BLOCK) - at
            data = os.pread(fd, count, at if stored is None else stored + at - start)
            if len(data) != count:
                raise ActError(blocks.GOT_SHORTER)
            shift = _collect(total, shift, block, at - block * SPARSE_BLOCK, data)
            at += count
            done += count
            reach(done)
        stored = None if stored is None else stored + length
    _flush(total, shift)
    return total.hexdigest()


def _collect(
    total: "hashlib._Hash", held: dict[int, bytearray], block: int, at: int, data: bytes
) -> dict[int, bytearray]:
    if block not in held:
        _flush(total, held)
        held = {block: bytearray(SPARSE_BLOCK)}
    held[block][at : at + len(data)] = data
    return held


def _flush(total: "hashlib._Hash", held: dict[int, bytearray]) -> None:
    for block, data in held.items():
        if data != _ZEROS:
            total.update(b"%d:" % block)
            total.update(data)
