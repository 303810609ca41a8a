"""What the tags of a mirror were when it was last listed, kept beside its refs. Effects: one file in the mirror.

A look at a thousand recipes would start a thousand times git for what has not changed since the last one.
"""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from reconciler.state import files

Stamp = tuple[int, ...]
_FILE = "ci-warm-listing"
_NEW = "1"
"""The form of the file; of another one nothing is taken."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """`stamp`: of the refs that were listed. `there`: digest of the refs of the repository, if it had just these."""

    stamp: Stamp
    there: str
    tags: str


def read(mirror: Path) -> Listing | None:
    """The last one, if the refs are still those that it lists."""
    try:
        head, _, tags = (mirror / _FILE).read_text().partition("\n")
        form, digest, there, *numbers = head.split(" ")
        found = Listing(stamp=tuple(map(int, numbers)), there=there, tags=tags)
    except (OSError, ValueError):
        return None
    is_whole = form == _NEW and digest == _digest(found)
    return found if is_whole and found.stamp == stamp_of_all(mirror) else None


def write(mirror: Path, listing: Listing) -> None:
    """Keep it; where that cannot be, git is asked again."""
    head = " ".join([_NEW, _digest(listing), listing.there, *map(str, listing.stamp)])
    with contextlib.suppress(OSError, UnicodeEncodeError):
        files.write_atomic(mirror / _FILE, f"{head}\n{listing.tags}".encode())


def digest_of(refs: str) -> str:
    """Of what a repository says that it has."""
    return hashlib.sha256(refs.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(listing: Listing) -> str:
    """A file that a power cut tore must not hide a release."""
    return digest_of(f"{listing.there} {listing.stamp} {listing.tags}")


def stamp_of_all(mirror: Path) -> Stamp:
    """What changes when refs change, those of branches too, however deep they lie."""
    found = [stat.st_mtime_ns for path in (mirror / "refs/heads").rglob("*") if (stat := _stat(path)) is not None]
    return (*stamp(mirror), len(found), max(found, default=0))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def stamp(mirror: Path) -> Stamp:
    """What changes when tags change: the packed file and the folder of loose ones."""
    found: list[int] = []
    for name in ("packed-refs", "refs/tags"):
        stat = _stat(mirror / name)
        found += [stat.st_ino, stat.st_size, stat.st_mtime_ns] if stat is not None else [0, 0, 0]
    # A tag that is moved in place changes its own file only. A fetch beside us makes and removes lock files.
    loose = [_stat(path) for path in (mirror / "refs/tags").glob("*") if path.suffix != ".lock"]
    return (*found, max((stat.st_mtime_ns for stat in loose if stat is not None), default=0))
