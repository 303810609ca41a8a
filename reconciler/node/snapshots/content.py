"""What a file holds, as ranges of data and as a digest. Effects: reads files."""

import errno
import hashlib
import os
from collections.abc import Callable

from reconciler.model.errors import ActError

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
        at = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        found.append((start, at - start))
    return tuple(found)


def is_sparse(found: os.stat_result) -> bool:
    """Say whether a file has holes worth keeping."""
    return found.st_size >= SPARSE_BLOCK and found.st_blocks * 512 < found.st_size


def content_digest(fd: int, size: int, *, sparse: bool, reach: Reach = unheard) -> str:
    """Give the sha256 of a file's content.

    Sparse files: of (offset, block) of each 64 KiB block that is not all zeros, so that a hole of a terabyte
    costs nothing and the layout of holes does not matter. `reach` counts bytes of data.

    Raises:
        ActError: the file got shorter meanwhile.
    """
    if sparse:
        return sparse_digest(fd, data_extents(fd, size), size, reach=reach)
    return range_digest(fd, 0, size, reach)


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
            raise ActError("a file got shorter while it was read: a process still writes to the volume")
        total.update(buffer[:count])
        start += count
        reach(size - (end - start))
    return total.hexdigest()


def sparse_digest(
    fd: int, extents: tuple[tuple[int, int], ...], size: int, base: int | None = None, reach: Reach = unheard
) -> str:
    """See `content_digest`. `base`: read the ranges one after another from there (an archive), not in place."""
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
                raise ActError("a file got shorter while it was read: a process still writes to the volume")
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
