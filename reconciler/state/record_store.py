"""Our records per app, as JSON files. Effects: files below the state root."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from reconciler.core.release.render import is_intact
from reconciler.model.base import Record
from reconciler.model.data_stamp import DataRecord
from reconciler.model.errors import StateError
from reconciler.model.ids import AppName, is_name
from reconciler.model.journal import Journal
from reconciler.model.memory import Memory
from reconciler.model.published import StatusReport
from reconciler.model.release import Bundle, KnownGood
from reconciler.model.snapshot import DrillRecord
from reconciler.state import files, records, reserve

R = TypeVar("R", bound=Record)
_OF_AN_APP = frozenset({"known_good.json", "memory.json", "journal.json", "canonical.json"})
_Key = tuple[int, int, int]
_LAST_WORDS = 20
"""Logs of failed changes that stay, for each app."""


class RecordStore:
    """Our records of each app, in `<state root>/<app>/`. Reads are cached by inode, size and time."""

    def __init__(self, root: Path, group: str = "") -> None:
        self.root = root
        self._gid = files.group_id(group) if group else None
        self._cache: dict[Path, tuple[_Key, Record]] = {}

    def folder(self, app: AppName) -> Path:
        """The app's private folder; made when first needed."""
        if not is_name(app):
            raise StateError(str(self.root / app), "is not an app name")
        return self.root / app

    def apps(self) -> Sequence[AppName]:
        """Every app that has records, declared or not."""
        found = [path.parent.name for path in self.root.glob("*/*.json") if path.name in _OF_AN_APP]
        return [AppName(name) for name in sorted(set(found)) if is_name(name)]

    def known_good(self, app: AppName) -> KnownGood | None:
        """None if there is none."""
        return self._read(self.folder(app) / "known_good.json", KnownGood, app)

    def put_known_good(self, record: KnownGood) -> None:
        """One rename; also renews the derived `last_good`.

        `known_good.json` is the commit; `last_good` is derived and may lag after a crash.
        """
        app = AppName(record.app)
        # The order matters: a crash between the two leaves a `last_good` that lags, which the next commit or
        # `doctor` tells, never one that runs ahead of the record.
        self._write(app, "known_good.json", records.dump(record))
        self._write(app, "last_good", (record.release.version + "\n").encode())

    def memory(self, app: AppName) -> Memory:
        """Empty if there is none."""
        return self._read(self.folder(app) / "memory.json", Memory, app) or Memory(app=app)

    def put_memory(self, record: Memory) -> None:
        """One rename."""
        self._write(AppName(record.app), "memory.json", records.dump(record))

    def journal(self, app: AppName) -> Journal | None:
        """None if nothing is under way."""
        return self._read(self.folder(app) / "journal.json", Journal, app)

    def put_journal(self, record: Journal) -> None:
        """One rename; durable when it returns."""
        self._write(AppName(record.app), "journal.json", records.dump(record))

    def close_journal(self, app: AppName) -> None:
        """Remove it; durable when it returns."""
        path = self.folder(app) / "journal.json"
        path.unlink(missing_ok=True)
        # A journal that came back after a power cut would resume a change that is over.
        files.sync_folder(path.parent)

    def drill(self, app: AppName) -> DrillRecord | None:
        """The last restore drill; None if there was none."""
        return self._read(self.folder(app) / "drill.json", DrillRecord, app)

    def put_drill(self, record: DrillRecord) -> None:
        """One rename."""
        self._write(AppName(record.app), "drill.json", records.dump(record))

    def data(self, app: AppName) -> DataRecord:
        """Which release wrote the app's volumes; empty if that was never written down."""
        return self._read(self.folder(app) / "data.json", DataRecord, app) or DataRecord(app=app)

    def put_data(self, record: DataRecord) -> None:
        """One rename; durable when it returns."""
        self._write(AppName(record.app), "data.json", records.dump(record))

    def bundle(self, app: AppName, bundle_id: str) -> Bundle:
        """A rendered release. StateError if it is missing or its digest is wrong."""
        path = self.folder(app) / "releases" / f"{bundle_id}.json"
        found = records.read(path, Bundle)
        if found is None:
            raise StateError(str(path), "is missing")
        # A rollback deploys this as it is, without git or network to compare with (ADR 0001).
        if found.id != bundle_id or not is_intact(found):
            raise StateError(str(path), "is not what its digest says")
        return found

    def put_bundle(self, bundle: Bundle) -> None:
        """Idempotent."""
        folder = files.make_folder(self._own_folder(AppName(bundle.app)) / "releases")
        path = folder / f"{bundle.id}.json"
        # A bundle's name is its digest, so one that is there has the same content.
        if not path.exists():
            files.write_atomic(path, records.dump(bundle))

    def prune_bundles(self, app: AppName, keep: Sequence[str]) -> None:
        """Remove rendered releases that nothing refers to."""
        for path in (self.folder(app) / "releases").glob("*.json"):
            if path.stem not in keep:
                path.unlink()

    def put_last_words(self, app: AppName, op_id: str, text: str) -> str:
        """Keep what the containers of a failed release said; gives the path below the state root. The last 20 stay."""
        folder = files.make_folder(self._own_folder(app) / "logs")
        files.write_atomic(folder / f"{op_id}.log", text.encode("utf-8", "replace"))
        for old in sorted(folder.glob("*.log"))[:-_LAST_WORDS]:
            old.unlink(missing_ok=True)
        return f"{app}/logs/{op_id}.log"

    def put_status(self, report: StatusReport) -> None:
        """Publish the result of a pass."""
        files.write_atomic(self.root / "status.json", records.dump(report), files.PUBLIC_FILE, self._gid)

    def status(self) -> StatusReport | None:
        """The last published result; None if there is none or it is unreadable (it is derived, so nothing is lost)."""
        try:
            return records.read(self.root / "status.json", StatusReport)
        except StateError:
            return None

    def fill_reserve(self) -> reserve.Reserve:
        """Keep room for records on a disk that gets full."""
        return reserve.fill(self.root)

    def _own_folder(self, app: AppName) -> Path:
        return files.make_folder(self.folder(app))

    def _write(self, app: AppName, name: str, data: bytes) -> None:
        files.write_atomic(self._own_folder(app) / name, data)

    def _read(self, path: Path, model: type[R], app: AppName) -> R | None:
        try:
            found = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StateError(str(path), f"cannot be read: {exc.strerror}") from exc
        # Every write is a rename, so a new content has a new inode even within one tick of the clock.
        key = (found.st_ino, found.st_size, found.st_mtime_ns)
        cached = self._cache.get(path)
        if cached is not None and cached[0] == key and isinstance(cached[1], model):
            return cached[1]
        record = records.read(path, model)
        if record is None:
            return None
        if getattr(record, "app", app) != app:
            raise StateError(str(path), f"belongs to app {getattr(record, 'app', '')!r}, not to {app!r}")
        # Kept only after the owner was checked: records are frozen, so handing out one object many times is
        # safe.
        self._cache[path] = (key, record)
        return record
