"""The machine itself: file systems, git, memory of this process. Effects: reads only."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters import process
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.host import Usage
from reconciler.state import files


def usage(path: Path) -> Usage:
    """How full the file system of a path is; of its nearest parent that exists.

    Raises:
        ObserveError: it cannot be asked.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError as exc:
        raise ObserveError(f"{path}: {exc.strerror}") from exc
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    free = found.f_bavail * found.f_frsize
    # As df has it: rounded up, and of what users can have, without the blocks that are reserved for root.
    percent = -(-100 * used // (used + free)) if used + free else 0
    return Usage(path=str(path), used=used, free=free, percent=percent)


def usages(paths: Sequence[Path]) -> list[Usage]:
    """The file systems of these paths, each once; one that cannot be asked is left out."""
    by_device: dict[int, Usage] = {}
    for path in paths:
        try:
            found = usage(path)
            by_device.setdefault(Path(found.path).stat().st_dev, found)
        except (ObserveError, OSError):
            continue
    return list(by_device.values())


def state_root_is_writable(root: Path) -> str:
    """Write a file into the state root and take it away again.

    Raises:
        StateError, OSError: it is not ours, or cannot be written.
    """
    files.check_root(root)
    # A real write: a file system that has turned read-only still answers every other question.
    with tempfile.NamedTemporaryFile(dir=root, prefix=".ready-") as probe:
        probe.write(b"1")
        probe.flush()
    return "writable"


def git_runs() -> str:
    """Ask git for its version.

    Raises:
        ObserveError: it is not there or does not run.
    """
    if shutil.which("git") is None:
        raise ObserveError("git is not on the PATH")
    try:
        ran = process.run(["git", "--version"], timeout_s=10)
    except ActError as exc:
        raise ObserveError(str(exc)) from exc
    if ran.code != 0:
        raise ObserveError(f"git --version ends with {ran.code}")
    return ran.output.strip()[:80]
