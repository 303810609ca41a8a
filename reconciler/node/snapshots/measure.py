"""How much volumes hold, and how much is free where a snapshot and a way back need it. Effects: reads file systems."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.model.errors import ActError
from reconciler.node.snapshots import tree
from reconciler.node.snapshots.restoring import free_bytes
from reconciler.ports.node import Room


def measure(home: Path, paths: Sequence[Path], goes: Sequence[Path] = ()) -> tuple[Room, Mapping[Path, int]]:
    """Give the room for a snapshot in `home` of the volumes at `paths`, and the bytes that each of them holds.

    `goes`: what beside `home` is removed before room is needed, and counts as free.

    Raises:
        ActError: it cannot be measured, or no data could come back to one of them.
    """
    try:
        # An exchange needs both trees on one file system, and this must be known before the app is stopped.
        apart = [str(path) for path in paths if path.stat().st_dev != path.parent.stat().st_dev]
        if apart:
            raise ActError(f"{apart[0]} is a mount point of its own, so it cannot be exchanged", permanent=True)
        fixed = [str(path.parent) for path in paths if os.statvfs(path.parent).f_flag & os.ST_RDONLY]
        if fixed:
            # Found out now and not when the data must come back.
            text = f"{fixed[0]} is read-only here, so no data could come back (a sandbox? see ReadWritePaths=)"
            raise ActError(text, permanent=True)
        used = {path: tree.used_bytes(path) for path in paths}
        free = {path: free_bytes(path) for path in (home, *paths)}
        coming = 0
        for path in goes:
            with contextlib.suppress(FileNotFoundError):  # it goes at this moment
                coming += tree.used_bytes(path)
        for path in free:
            free[path] += coming if path.stat().st_dev == home.stat().st_dev else 0
        same = all(path.stat().st_dev == home.stat().st_dev for path in paths)
    except OSError as exc:
        raise ActError(f"room cannot be measured: {exc}", host_fault=True) from exc
    room = Room(
        used=sum(used.values()),
        free_snapshots=free[home],
        free_volumes=min((free[path] for path in paths), default=free[home]),
        same_filesystem=same,
    )
    return room, used
