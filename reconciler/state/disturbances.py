"""`disturbances.json`: when the engine was away, restarted or drained, kept beyond the pass that noticed it.

Effects: one file in the state root. It is evidence, not a record that anything depends on: an unreadable one is begun
anew.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from reconciler.core.change import disturbances
from reconciler.model.disturbance import Disturbance, Disturbances
from reconciler.state import files

_MOST = 100


class DisturbanceFile:
    """The disturbances that were noticed, the oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cache: tuple[tuple[int, int, int], tuple[Disturbance, ...]] | None = None

    def read(self) -> tuple[Disturbance, ...]:
        """All that are on record; none if there is no file, or one that cannot be understood."""
        try:
            found = self.path.stat()
            key = (found.st_ino, found.st_mtime_ns, found.st_size)
            # Asked for every app of a pass, and it hardly ever changes.
            if self._cache is None or self._cache[0] != key:
                self._cache = (key, Disturbances.model_validate_json(self.path.read_bytes()).seen)
            return self._cache[1]
        except (FileNotFoundError, ValidationError):
            return ()

    def note(self, found: Sequence[Disturbance]) -> tuple[Disturbance, ...]:
        """Add what was noticed, and give all that is known then, also where there is no room to write it down."""
        known = self.read()
        merged = disturbances.merge(known, found)
        if merged == known:
            return known
        try:
            return self._write(found)
        except OSError:
            return merged  # evidence for later passes, for which no change may fail

    def _write(self, found: Sequence[Disturbance]) -> tuple[Disturbance, ...]:
        with self._locked():
            # Read again under the lock: another process may have noted something meanwhile.
            seen = disturbances.merge(self.read(), found)[-_MOST:]
            files.write_atomic(self.path, Disturbances(seen=seen).model_dump_json(by_alias=True).encode() + b"\n")
            return seen

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
