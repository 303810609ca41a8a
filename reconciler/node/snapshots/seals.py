"""A volume's archive and index read back: their digests, and whether bodies are what the index says. Effects: reads."""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.model.errors import ActError, StateError
from reconciler.node.snapshots import blocks, content
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.tree import Entry


def read_back(tar: Path, index: Path, reach: Reach = unheard, like: str = "") -> tuple[tuple[str, str], list[str]]:
    """((archive digest, index sha256), problems); the archive's digest is taken in a second thread.

    `reach`: bytes of the archive. `like`: a digest of the kind that is wanted for the archive; '': sha256.
    """
    result: list[str] = []
    thread = threading.Thread(target=lambda: result.append(file_digest(tar, like)))
    thread.start()
    try:
        wrong = _first(check_bodies(tar, index, None, reach))
    finally:
        thread.join()
    if not result:
        raise OSError(f"{tar} cannot be read back")
    return (result[0], file_digest(index)), wrong


def _first(problems: Iterable[str], limit: int = 10) -> list[str]:
    found = []
    for problem in problems:
        found.append(problem)
        if len(found) == limit:
            break
    return found


def read_index(index: Path, seal: str | None) -> Iterator[Entry]:
    """Every entry of an index; `seal`: the sha256 it must have, checked before the first is given out.

    Raises:
        StateError: the index is not what its seal says, or not an index.
    """
    if seal is not None and file_digest(index) != seal:
        raise StateError(str(index), "does not match its sha256 in the manifest")
    with index.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield Entry.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError) as exc:
                raise StateError(f"{index}:{number}", f"is not an entry: {exc}") from exc


def file_digest(path: Path, like: str = "") -> str:
    """The digest of a whole file, of the kind that `like` is; '': sha256."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if like.startswith(blocks.MARK):
            return blocks.digest(fd, size, content.data_extents(fd, size))
        return content.range_digest(fd, 0, size)
    finally:
        os.close(fd)


def check_bodies(archive: Path, index: Path, seal: str | None, reach: Reach = unheard) -> Iterator[str]:
    """Read every body back from the archive and name those that differ from their digest."""
    fd = os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for entry in read_index(index, seal):
            if entry.offset < 0:
                continue
            inside = entry.within(reach)
            try:
                found = content.digest_inside(entry, fd, inside)
            except ActError:
                found = "cut short"
            if found != entry.digest:
                yield f"{archive.name}: {entry.path} does not match its sha256"
    finally:
        os.close(fd)
