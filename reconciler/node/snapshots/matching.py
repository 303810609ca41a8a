"""Makes the body of a large file in an archive equal to the file, block by block. Effects: an open archive."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reconciler.model.errors import ActError
from reconciler.node.snapshots import blocks
from reconciler.state import files


@dataclass(frozen=True, slots=True)
class Range:
    """A range of data. `shift`: from its place in the file to that in the archive.

    `anew_from`: the number of the block from which on all digests are taken anew, as the file's size is another.
    """

    start: int
    length: int
    shift: int
    digests: int
    anew_from: int | None


class Matcher:
    """Works on the archive `out`.

    `digests`: an open file with those of all blocks; `second`: reads along; `write`: (bytes, place in the archive).
    """

    def __init__(self, out: int, digests: int, second: ThreadPoolExecutor, write: Callable[[bytes, int], None]) -> None:
        self._out, self._digests, self._second, self._write = out, digests, second, write

    def match(self, fd: int, path: str, size: int, part: Range) -> None:
        """Make a range of the archive equal to the file's, and keep the digest of each block that was not.

        `size`: the file's.

        Raises:
            ActError: the file got shorter, or what was written does not read back.
        """
        ours, theirs = bytearray(blocks.ONCE), bytearray(blocks.ONCE)
        at, end = part.start, part.start + part.length
        while at < end:
            count = min(end, (at // blocks.ONCE + 1) * blocks.ONCE) - at
            reading = self._second.submit(_read_into, self._out, theirs, count, at + part.shift)
            _read_into(fd, ours, count, at)
            reading.result()
            changed = set[int]()
            if not _are_equal(ours, theirs, count):
                changed = self._mend(ours, theirs, range(at, at + count), part)
                _read_into(self._out, theirs, count, at + part.shift)
                if not _are_equal(ours, theirs, count):
                    raise ActError(f"{path} does not read back from its archive", host_fault=True)
            if part.anew_from is not None:
                changed |= set(range(max(at // blocks.SIZE, part.anew_from), (at + count - 1) // blocks.SIZE + 1))
            self._digest_anew(fd, path, size, changed, part)
            at += count

    def _mend(self, ours: bytearray, theirs: bytearray, where: range, part: Range) -> set[int]:
        """Write the parts of blocks that differ; gives their numbers. `where`: bytes of the file."""
        found, at = set[int](), where.start
        while at < where.stop:
            number = at // blocks.SIZE
            end = min(where.stop, (number + 1) * blocks.SIZE)
            inside = slice(at - where.start, end - where.start)
            if ours[inside] != theirs[inside]:
                self._write(bytes(ours[inside]), at + part.shift)
                found.add(number)
            at = end
        return found

    def _digest_anew(self, fd: int, path: str, size: int, numbers: set[int], part: Range) -> None:
        for number in numbers:
            count = min(blocks.SIZE, size - number * blocks.SIZE)
            block = os.pread(fd, count, number * blocks.SIZE)
            if len(block) != count:
                raise ActError(f"{path}: {blocks.GOT_SHORTER}")
            files.write_all_at(self._digests, blocks.digest_of(block), part.digests + number * blocks.LENGTH)


def _are_equal(one: bytearray, other: bytearray, count: int) -> bool:
    # Whole ones are compared where they are; a part of a megabyte would be copied first.
    return one == other if count == len(one) else one[:count] == other[:count]


def _read_into(fd: int, buffer: bytearray, count: int, at: int) -> None:
    view, done = memoryview(buffer), 0
    while done < count:
        got = os.preadv(fd, [view[done:count]], at + done)
        if got == 0:
            raise ActError(blocks.GOT_SHORTER)
        done += got
