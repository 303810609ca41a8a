"""What the daemon, the sweep and the runs have published. Effects: reads files of the state root.

Everything is cached by the time and size of its file, because a page of two hundred apps is asked for again and again.
"""

import contextlib
import itertools
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from reconciler.core.testrun import spec as run_names
from reconciler.model.alert import Alert
from reconciler.model.errors import StateError
from reconciler.model.history import HistoryLine
from reconciler.model.published import StatusReport
from reconciler.model.sweep import Sweep
from reconciler.model.testrun import Run
from reconciler.state import files, records
from reconciler.state.alerts import AlertStore
from reconciler.state.runs import RunStore
from reconciler.state.sweeps import SweepStore

T = TypeVar("T")
LOG_BYTES = 1 << 20
"""The end of a log that is shown."""
_NEWEST_RUNS = 200
_MOST_ARTEFACTS, _MOST_SEEN, _DEEPEST = 500, 10_000, 8
_GRAIN_NS = 100_000_000
"""Files that change twice within a tick of the kernel (10 ms at most) may bear the same time."""
Stamp = tuple[int, int, int]


class StateReader:
    """Reads one state root. Whatever is torn, missing or not for us is told as a `StateError`, and harms nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cache: dict[str, tuple[Hashable, object]] = {}
        self._alerts = AlertStore(root / "alerts")
        # As they stand in the file: as records, ten thousand of them take 35 MiB.
        self._lines: list[tuple[str, bytes]] = []
        self._read_to = 0
        self._inode: Hashable = None
        self._reading = threading.Lock()
        self._runs = RunStore(root / "runs", None, lambda: datetime.now(UTC))
        self._sweeps = SweepStore(root / "sweeps", None)

    def stamp(self) -> Hashable:
        """Moves when something that is shown has changed."""
        names = ("status.json", "history.jsonl", "alerts", "alerts/seen", "runs", "sweeps")
        return (*(_stamp(self.root / name) for name in names), *_run_stamps(self.root / "runs"))

    def overview_stamp(self) -> Hashable | None:
        """Moves when the overview has changed. None: it did so just now, and a stamp may not tell the next time."""
        found = [_stamp(self.root / name) for name in ("status.json", "alerts", "sweeps")]
        newest = max((one[1] for one in found if one is not None), default=0)
        return tuple(found) if time.time_ns() - newest > _GRAIN_NS else None

    def status(self) -> StatusReport | None:
        """The result of the last pass; None: there was none yet."""
        path = self.root / "status.json"
        return self._cached("status", _stamp(path), lambda: records.read(path, StatusReport))

    def alerts(self, *, seen: bool = False) -> Sequence[tuple[str, Alert]]:
        """Name and alert, the newest first."""
        found = self._alerts.archived() if seen else self._alerts.open()
        return [(path.stem, alert) for path, alert in reversed(found)]

    def history(self, app: str | None = None, *, limit: int) -> Sequence[HistoryLine]:
        """The last lines of an app, or of all, the newest first; only what was added since is read again.

        Raises:
            StateError: the file may not be read.
        """
        with self._reading:  # each request has a thread of its own
            self._read_on()
            wanted = (raw for of, raw in reversed(self._lines) if app in (None, of))
            raws = list(itertools.islice(wanted, limit))
        return [records.parse(raw, HistoryLine) for raw in raws]

    def _read_on(self) -> None:
        """Add what was appended since, as far as it is whole: a line that is being written comes next time."""
        path = self.root / "history.jsonl"
        try:
            with path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino != self._inode or found.st_size < self._read_to:
                    self._inode, self._lines, self._read_to = found.st_ino, [], 0
                stream.seek(self._read_to)
                added = stream.read()
        except FileNotFoundError:
            self._inode, self._lines, self._read_to = None, [], 0
            return
        except OSError as exc:
            raise StateError(str(path), f"cannot be read: {exc.strerror}") from exc
        whole = added[: added.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # torn or foreign; `doctor` names it
                self._lines.append((sys.intern(records.parse(line, HistoryLine).app), line))

    def runs(self) -> Sequence[Run]:
        """Reports of test runs, the newest first."""
        folder = self.root / "runs"
        found = self._cached("runs", tuple(_run_stamps(folder)), lambda: self._runs.reports()[:_NEWEST_RUNS])
        return found or ()

    def run(self, name: str) -> Run | None:
        """One report; None: there is none of that name."""
        return self._runs.report(name)

    def logs(self, name: str) -> Mapping[str, int]:
        """Stage -> size of its log in bytes."""
        folder = self.root / "runs" / name
        if not run_names.is_run(name) or not folder.is_dir():
            return {}
        sizes = {}
        for name_of_log in files.list_folder(folder, ".log"):
            with contextlib.suppress(OSError):  # an old run may be pruned at any moment
                found = (folder / name_of_log).lstat()
                if stat.S_ISREG(found.st_mode):
                    sizes[name_of_log.removesuffix(".log")] = found.st_size
        return sizes

    def log(self, name: str, stage: str) -> str | None:
        """The end of a stage's log; None: there is none."""
        if stage not in self.logs(name):
            return None
        try:
            with (self.root / "runs" / name / f"{stage}.log").open("rb") as stream:
                stream.seek(max(0, stream.seek(0, 2) - LOG_BYTES))
                return stream.read(LOG_BYTES).decode(errors="replace")
        except OSError:
            return None

    def artefacts(self, name: str) -> Mapping[str, int]:
        """Path below the run's artefacts -> size in bytes: plain files, not links, which may point anywhere.

        Left out is what no page can name: names that are no text, and what lies very deep; a recipe made the tree.
        """
        folder = self.root / "runs" / name / "artefacts"
        if not run_names.is_run(name) or not folder.is_dir():
            return {}
        found: dict[str, int] = {}
        seen = 0
        for parent, folders, names in os.walk(folder):
            below = Path(parent).relative_to(folder)
            # Without those below it, `walk` calls itself no deeper.
            folders[:] = sorted(folders) if len(below.parts) < _DEEPEST else []
            for one in sorted(names):
                with contextlib.suppress(OSError, UnicodeEncodeError):  # pruned at this moment; no text
                    (below / one).as_posix().encode()
                    size = (folder / below / one).lstat()
                    if stat.S_ISREG(size.st_mode):
                        found[(below / one).as_posix()] = size.st_size
            seen += len(names) + len(folders)
            if len(found) >= _MOST_ARTEFACTS or seen > _MOST_SEEN:
                break
        return dict(itertools.islice(found.items(), _MOST_ARTEFACTS))

    def artefact(self, name: str, path: str) -> BinaryIO | None:
        """One of those, open to be read; None: there is none, or it is not for us to read."""
        if path not in self.artefacts(name):
            return None
        # Folder by folder, so that none of them is a link by now: they are a recipe's.
        held = None
        try:
            held = os.open(self.root / "runs" / name / "artefacts", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            *folders, last = path.split("/")
            for folder in folders:
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
                os.close(held)
                held = below
            return os.fdopen(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held), "rb")
        except OSError:
            return None
        finally:
            if held is not None:
                os.close(held)

    def sweeps(self) -> Sequence[Sweep]:
        """The nights, the newest first; one that cannot be read is left out, and `doctor` names it."""
        folder = self.root / "sweeps"
        if not folder.is_dir():
            return []
        dates = sorted((name.removesuffix(".json") for name in files.list_folder(folder, ".json")), reverse=True)
        return [sweep for date in dates if (sweep := self._sweep(date)) is not None]

    def sweep(self, date: str) -> Sweep | None:
        """One night; None: there was none."""
        return next((sweep for sweep in self.sweeps() if sweep.date == date), None)

    def _sweep(self, date: str) -> Sweep | None:
        path = self.root / "sweeps" / f"{date}.json"
        try:
            return self._cached(f"sweep {date}", _stamp(path), lambda: self._sweeps.read(date))
        except StateError:
            return None

    def _cached(self, key: str, stamp: Hashable, read: Callable[[], T]) -> T:
        known = self._cache.get(key)
        if known is not None and known[0] == stamp:
            return known[1]  # type: ignore[return-value]  # a key is only ever used with one kind of record
        found = read()
        self._cache[key] = (stamp, found)
        return found


def _run_stamps(folder: Path) -> list[Hashable]:
    try:
        return [(path.name, _stamp(path / "run.json")) for path in folder.iterdir()]
    except OSError:
        return []


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
