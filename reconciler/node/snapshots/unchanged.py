"""What of a volume still equals its snapshot, told without reading it. Effects: one small file beside the volume.

When a volume is known to equal a snapshot, a stamp with the inode of every entry is left beside it. What changed since
then has a newer change time, which no program can set, or another inode at its place; what has neither, and the index's
size, times and owner, is as it was (docs/adr/0010).
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.node.snapshots import tree
from reconciler.node.snapshots.tree import Entry
from reconciler.state import files, inode_flags
from reconciler.state.descent import reach

STAMP = ".ci-warm-equals"
MOST = 500_000
"""Entries of a volume that are looked at one by one; a larger one is restored whole."""
_TICKS_S = 0.1
"""Longer than any kernel's clock tick."""
_UNREAD = tuple(name for name in tree.SAME if name != "digest")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """`at`: a change time in ns; `inodes`: of every file and folder when volume and snapshot were equal."""

    at: int
    inodes: Mapping[str, int]


def remember(data: Path, snapshot: str) -> None:
    """The volume equals this snapshot now; no container may be writing to it."""
    inodes: dict[str, int] = {}
    newest = 0
    for visit in tree.walk(data):
        inodes[visit.entry.path] = visit.found.st_ino
        newest = max(newest, visit.found.st_ctime_ns)
    if len(inodes) > MOST:
        forget(data)
        return
    body = json.dumps({"snapshot": snapshot, "inodes": inodes}).encode("utf-8", "surrogatepass")
    deadline = time.monotonic() + _TICKS_S
    while True:
        files.write_atomic(data.with_name(STAMP), body)
        # Change times go by the kernel's tick. A stamp that is no newer than the tree only means that more is copied.
        if data.with_name(STAMP).stat().st_ctime_ns > newest or time.monotonic() > deadline:
            return


def forget(data: Path) -> None:
    """It may differ from now on."""
    data.with_name(STAMP).unlink(missing_ok=True)


def since(data: Path, snapshot: str) -> Stamp | None:
    """What is known of when it equalled this snapshot; None: nothing."""
    stamp = data.with_name(STAMP)
    try:
        found = json.loads(stamp.read_bytes().decode("utf-8", "surrogatepass"))
        if found["snapshot"] != snapshot:
            return None
        inodes = {str(path): int(inode) for path, inode in found["inodes"].items()}
        return Stamp(at=stamp.stat(follow_symlinks=False).st_ctime_ns, inodes=inodes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def unchanged(data: Path, entries: Iterable[Entry], stamp: Stamp) -> frozenset[str]:
    """Paths of plain files that are as the index says. Hard links among them count by their first name."""
    here = {
        visit.entry.path: visit.entry
        for visit in tree.walk(data)
        if visit.entry.type == tree.FILE
        and visit.found.st_ctime_ns < stamp.at
        # What lies in a folder that was put in another's place has its old change time all the same.
        and stamp.inodes.get(visit.entry.path) == visit.found.st_ino
    }
    return frozenset(
        want.path
        for want in entries
        if want.type == tree.FILE
        and not want.flags & inode_flags.FORBIDDING  # no second name for such an inode
        and (have := here.get(want.path)) is not None
        and _alike(have, want)
    )


def is_untouched(data: Path, entries: Iterable[Entry], stamp: Stamp) -> bool:
    """Say whether nothing at all changed: no entry more, less, newer or another. Sockets do not count."""
    here: dict[str, Entry] = {}
    for visit in tree.walk(data):
        if visit.entry.type == tree.SOCKET:
            continue
        if visit.found.st_ctime_ns >= stamp.at or stamp.inodes.get(visit.entry.path) != visit.found.st_ino:
            return False
        here[visit.entry.path] = visit.entry
    for want in entries:
        have = here.pop(want.path, None)
        if have is None or not _alike(have, want):
            return False
    return not here


def _alike(have: Entry, want: Entry) -> bool:
    return all(getattr(have, name) == getattr(want, name) for name in _UNREAD)


def link(live: int, staged_folder: int, name: str, path: str) -> None:
    """Give an unchanged file its place in a staged tree without copying it; `path` was walked, so no part is a link.

    Raises:
        OSError: it cannot be linked.
    """
    with reach(live, path) as (folder, short):
        os.link(short, name, src_dir_fd=folder, dst_dir_fd=staged_folder, follow_symlinks=False)
