"""What the daemon, the sweep and the runs have published. Effects: reads files of the state root.

Everything is cached by the time and size of its file, because a page of two hundred apps is asked for again and again.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from reconciler.core.testrun import spec as run_names
from reconciler.model.alert import Alert
from reconciler.model.errors import StateError
from reconciler.model.history import HistoryLine
from reconciler.model.published import StatusReport
from reconciler.model.sweep import Sweep
from reconciler.model.testrun import Run
from reconciler.state import files, records
from reconciler.state.alerts import AlertStore
from reconciler.state.history import HistoryFile
from reconciler.state.runs import RunStore
from reconciler.state.sweeps import SweepStore

T = TypeVar("T")
LOG_BYTES = 1 << 20
"""The end of a log that is shown."""
_NEWEST_RUNS = 200


class StateReader:
    """Reads one state root. Whatever is torn, missing or not for us is told as a `StateError`, and harms nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cache: dict[str, tuple[Hashable, object]] = {}
        self._alerts = AlertStore(root / "alerts")
        self._history = HistoryFile(root / "history.jsonl")
        self._lines: list[HistoryLine] = []
        self._read_to = 0
        self._inode: Hashable = None
        self._reading = threading.Lock()
        self._runs = RunStore(root / "runs", None, lambda: datetime.now(UTC))
        self._sweeps = SweepStore(root / "sweeps", None)

    def stamp(self) -> Hashable:
        """Moves when something that is shown has changed."""
        names = ("status.json", "history.jsonl", "alerts", "alerts/seen", "runs", "sweeps")
        return tuple(_stamp(self.root / name) for name in names)

    def status(self) -> StatusReport | None:
        """The result of the last pass; None: there was none yet."""
        path = self.root / "status.json"
        return self._cached("status", _stamp(path), lambda: records.read(path, StatusReport))

    def alerts(self, *, seen: bool = False) -> Sequence[tuple[str, Alert]]:
        """Name and alert, the newest first."""
        found = self._alerts.archived() if seen else self._alerts.open()
        return [(path.stem, alert) for path, alert in reversed(found)]

    def history(self, app: str | None = None) -> Sequence[HistoryLine]:
        """The lines of an app, or of all, the oldest first; only what was added since is read again.

        Raises:
            StateError: the file may not be read.
        """
        with self._reading:  # each request has a thread of its own
            self._read_on()
            return list(self._lines) if app is None else [line for line in self._lines if line.app == app]

    def _read_on(self) -> None:
        stamp = _stamp(self._history.path)
        size = self._history.size()
        inode = stamp[0] if isinstance(stamp, tuple) else None
        if inode != self._inode or size < self._read_to:
            self._inode, self._lines, self._read_to = inode, [], 0
        if size > self._read_to:
            try:
                self._lines += self._history.lines(self._read_to)
            except OSError as exc:
                raise StateError(str(self._history.path), f"cannot be read: {exc.strerror}") from exc
            self._read_to = size

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
        found = [folder / log for log in files.list_folder(folder, ".log")]
        return {path.stem: path.stat().st_size for path in found if path.is_file() and not path.is_symlink()}

    def log(self, name: str, stage: str) -> str | None:
        """The end of a stage's log; None: there is none."""
        if stage not in self.logs(name):
            return None
        with (self.root / "runs" / name / f"{stage}.log").open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - LOG_BYTES))
            return stream.read(LOG_BYTES).decode(errors="replace")

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


def _stamp(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
