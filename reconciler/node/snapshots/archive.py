"""Writes one volume as a standard PAX tar with an index of entries beside it; `seals` reads it back. Effects: files."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reconciler.node.snapshots import tree
from reconciler.node.snapshots.content import Reach, unheard
from reconciler.node.snapshots.members import Members
from reconciler.state import files

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written for one volume. `slack_bytes`: of the archive, what no entry needs."""

    entries: int
    data_bytes: int
    sockets: tuple[str, ...]
    archive_bytes: int
    slack_bytes: int = 0


def write(
    root: Path, archive: Path, index: Path, check: Callable[[], None] = lambda: None, reach: Reach = unheard
) -> Written:
    """Archive the tree. Both files are durable when it returns. `check` is called before each entry and may raise.

    `reach`: bytes of the archive, from two threads.

    Raises:
        ActError: the tree changed while it was read, so a process still writes.
        OSError: no room or I/O error; what was written so far is the caller's to remove.
    """
    entries, sockets = 0, list[str]()
    with ExitStack() as stack:
        out, lines = keep_open(archive, stack), stack.enter_context(append_lines(index))
        members = Members(out, stack.enter_context(ThreadPoolExecutor(max_workers=1)), reach)
        for visit in tree.walk(root):
            check()
            if visit.entry.type == tree.SOCKET:
                sockets.append(visit.entry.path)
                continue
            lines.write(members.add(visit).to_line())
            entries += 1
        members.finish()
        lines.flush()
        os.fsync(lines.fileno())
    return Written(entries=entries, data_bytes=members.data_bytes, sockets=tuple(sockets), archive_bytes=members.at)


def append_lines(path: Path) -> BinaryIO:
    """A new file that is written bit by bit."""
    return os.fdopen(os.open(path, NEW, files.PRIVATE_FILE), "wb", buffering=1 << 20)


def keep_open(path: Path, stack: ExitStack, flags: int = NEW) -> int:
    """Open a file until the stack ends; without flags a new one."""
    fd = os.open(path, flags, files.PRIVATE_FILE)
    stack.callback(os.close, fd)
    return fd
