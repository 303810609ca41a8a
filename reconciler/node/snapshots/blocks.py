"""The digest of a large file, made of the digests of its blocks. Effects: reads files.

What changed in a file of gigabytes is a few blocks, and only those are read and hashed anew to know its digest. A block
of zeros counts as one that is not stored, so that the layout of holes does not matter (docs/adr/0022).
"""

import hashlib
import os
from collections.abc import Callable, Iterator

from reconciler.model.errors import ActError

SIZE = 64 << 10
MARK = "blocks:"
"""What such a digest begins with; others are the sha256 of the content itself."""
LENGTH = 32
"""Bytes of a block's digest."""
ONCE = 1 << 20
GOT_SHORTER = "a file got shorter while it was read: a process still writes to the volume"
_ZERO = bytes(LENGTH)
_OF_ZEROS = hashlib.sha256(bytes(SIZE)).digest()
_GAP = 1 << 10
Extents = tuple[tuple[int, int], ...]
"""(start, length) of each range of data, in order."""
Keep = Callable[[int, bytes], object]
"""Given the number of a block and its digest."""


class Total:
    """Adds up the digests of blocks, in order; those that are left out are zeros."""

    def __init__(self, size: int) -> None:
        self._total = hashlib.sha256(b"%d\n" % size)
        self._blocks = -(-size // SIZE)
        self._next = 0

    def add(self, number: int, digest: bytes) -> None:
        """The digest of a block, or of several that follow each other."""
        self._skip_to(number)
        self._total.update(digest)
        self._next += len(digest) // LENGTH

    def _skip_to(self, number: int) -> None:
        while self._next < number:
            count = min(number - self._next, _GAP)
            self._total.update(_ZERO * count)
            self._next += count

    def finish(self) -> str:
        """The digest of the whole."""
        self._skip_to(self._blocks)
        return MARK + self._total.hexdigest()


def digest_of(block: bytes | bytearray | memoryview) -> bytes:
    """A block's digest; zeros for one of zeros."""
    found = hashlib.sha256(block).digest()
    if len(block) == SIZE:
        return _ZERO if found == _OF_ZEROS else found
    return found if bytes(block).strip(b"\0") else _ZERO


def digest(
    fd: int,
    size: int,
    extents: Extents | None = None,
    *,
    base: int | None = None,
    reach: Callable[[int], None] = lambda _done: None,
    keep: Keep = lambda _number, _digest: None,
) -> str:
    """The digest of `size` bytes. `extents` None: all of them are data.

    `base`: the ranges lie one after another from there (an archive), and not in place. `reach` counts bytes of data;
    `keep` is given each block that is stored.

    Raises:
        ActError: the file got shorter meanwhile.
    """
    total, done = Total(size), 0
    for number, block in each(fd, size, ((0, size),) if extents is None else extents, base):
        found = digest_of(block)
        total.add(number, found)
        keep(number, found)
        done += len(block)
        reach(done)
    return total.finish()


def each(fd: int, size: int, extents: Extents, base: int | None) -> Iterator[tuple[int, memoryview]]:
    """Each block that has data, with its number, in order; what of it is a hole is zeros. Valid until the next one."""
    buffer = memoryview(bytearray(min(ONCE, max(SIZE, size))))
    held, block = -1, memoryview(bytearray())
    shift = base
    for start, length in extents:
        at, end = start, start + length
        where = 0 if shift is None else shift - start
        while at < end:
            number, inside = divmod(at, SIZE)
            whole = 0 if inside or held == number else min(len(buffer), end - at) // SIZE * SIZE
            if held >= 0 and (whole or held != number):
                yield held, block
                held = -1
            if whole:
                _fill(fd, buffer[:whole], at + where)
                for first in range(0, whole, SIZE):
                    yield number + first // SIZE, buffer[first : first + SIZE]
                at += whole
                continue
            if held < 0:
                held, block = number, memoryview(bytearray(min(SIZE, size - number * SIZE)))
            count = min(end, (number + 1) * SIZE) - at
            _fill(fd, block[inside : inside + count], at + where)
            at += count
        shift = None if shift is None else shift + length
    if held >= 0:
        yield held, block


def _fill(fd: int, into: memoryview, at: int) -> None:
    if os.preadv(fd, [into], at) == len(into):
        return
    done = 0
    while done < len(into):
        count = os.preadv(fd, [into[done:]], at + done)
        if count == 0:
            raise ActError(GOT_SHORTER)
        done += count


def add_up(fd: int, at: int, size: int) -> str:
    """The digest of a file whose blocks' digests lie in another from `at`, holes there being blocks of zeros."""
    total, blocks = Total(size), -(-size // SIZE)
    step = ONCE // LENGTH
    for number in range(0, blocks, step):
        count = min(step, blocks - number)
        found = os.pread(fd, count * LENGTH, at + number * LENGTH)
        total.add(number, found + bytes(count * LENGTH - len(found)))
    return total.finish()
