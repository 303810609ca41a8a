"""A volume's archive and index read back: their digests, and whether bodies are what the index says. Effects: reads."""

import threading
from collections.abc import Iterable
from pathlib import Path

from reconciler.node.snapshots import archive


def read_back(tar: Path, index: Path) -> tuple[tuple[str, str], list[str]]:
    """((archive sha256, index sha256), problems); the archive's digest is taken in a second thread."""
    result: list[str] = []
    thread = threading.Thread(target=lambda: result.append(archive.file_digest(tar)))
    thread.start()
    try:
        wrong = _first(archive.check_bodies(tar, index, None))
    finally:
        thread.join()
    if not result:
        raise OSError(f"{tar} cannot be read back")
    return (result[0], archive.file_digest(index)), wrong


def _first(problems: Iterable[str], limit: int = 10) -> list[str]:
    found = []
    for problem in problems:
        found.append(problem)
        if len(found) == limit:
            break
    return found
