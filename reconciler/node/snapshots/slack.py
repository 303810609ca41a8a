"""Parts of an archive that no entry needs: comments, which every tar steps over. Effects: an open archive.

A member that was replaced must not be seen again by whoever unpacks the archive without us, and one that may grow has
room left behind it.
"""

import ctypes

from reconciler.node.snapshots.tar_header import filler
from reconciler.state import files

LEAST = 1024
"""The shortest comment."""
_MOST = 1 << 20
"""GNU tar keeps a comment in memory."""
_PAGE, _PUNCHED = 4096, 64 << 10
_PUNCH_HOLE_KEEP_SIZE = 3
_LIBC = ctypes.CDLL(None, use_errno=True)


def fits(length: int, room: int) -> bool:
    """Say whether so many bytes can stand where `room` is, as the rest must be nothing or a comment."""
    return length == room or length + LEAST <= room


def fill(out: int, at: int, end: int) -> None:
    """Make a range a row of comments; what it held is given up. Both ends are multiples of 512."""
    _clear(out, at, end)
    while at < end:
        length = min(end - at, _MOST)
        if 0 < end - at - length < LEAST:
            length -= LEAST
        begins, ends = filler(length)
        files.write_all_at(out, begins, at)
        at += length
        files.write_all_at(out, ends, at - len(ends))


def _clear(out: int, at: int, end: int) -> None:
    first, last = -(-at // _PAGE) * _PAGE, end // _PAGE * _PAGE
    if last - first < _PUNCHED:
        files.write_all_at(out, bytes(end - at), at)
        return
    # Gives the room back, too. Where a file system cannot do that, the old bytes stay: a comment may say anything.
    _LIBC.fallocate(out, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(first), ctypes.c_long(last - first))
