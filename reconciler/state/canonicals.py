"""Records of canonicals, and of what passed here. Effects: files in the state root."""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from reconciler.core.redact import Redactor
from reconciler.model.base import Record
from reconciler.model.canonical import Canonical, Greens, InFlight, Promotion, Use
from reconciler.model.errors import StateError
from reconciler.model.ids import AppName, is_name, mirror_name
from reconciler.state import files, records

R = TypeVar("R", bound=Record)


class CanonicalStore:
    """`<state root>/<app>/*.json` and `<state root>/green/<recipe>.json`."""

    def __init__(self, root: Path, gid: int | None = None) -> None:
        self.root = root
        self._gid = gid

    def _path(self, app: AppName, name: str) -> Path:
        if not is_name(app):
            raise StateError(app, "is not an app name")
        return self.root / app / name

    def _read(self, app: AppName, name: str, model: type[R]) -> R | None:
        path = self._path(app, name)
        found = records.read(path, model)
        # A folder that was copied or renamed by hand brings the records of another app; acting on them would
        # touch that app's volumes.
        owner = getattr(found, "app", app)
        if found is not None and owner != app:
            raise StateError(str(path), f"belongs to app {owner!r}")
        return found

    def _write(self, app: AppName, name: str, record: Record) -> None:
        files.write_atomic(files.make_folder(self.root / app) / name, records.dump(record))

    def _remove(self, app: AppName, name: str) -> None:
        path = self._path(app, name)
        path.unlink(missing_ok=True)
        # The removal must be durable: a mark that comes back after a power cut costs a restore, a promotion
        # that comes back would be finished a second time.
        if path.parent.exists():
            files.sync_folder(path.parent)

    def canonical(self, app: AppName) -> Canonical | None:
        """None: cold."""
        return self._read(app, "canonical.json", Canonical)

    def put_canonical(self, record: Canonical) -> None:
        """One rename."""
        self._write(AppName(record.app), "canonical.json", record)

    def use(self, app: AppName) -> Use | None:
        """Since when its volumes may differ from the snapshot; None: they equal it."""
        return self._read(app, "use.json", Use)

    def put_use(self, record: Use) -> None:
        """One rename; durable when it returns."""
        self._write(AppName(record.app), "use.json", record)

    def end_use(self, app: AppName) -> None:
        """Its volumes equal the snapshot again; durable when it returns."""
        self._remove(app, "use.json")

    def promotion(self, app: AppName) -> Promotion | None:
        """What is about to become the canonical; None: nothing."""
        return self._read(app, "promotion.json", Promotion)

    def put_promotion(self, record: Promotion) -> None:
        """One rename; durable when it returns."""
        self._write(AppName(record.app), "promotion.json", record)

    def end_promotion(self, app: AppName) -> None:
        """It is over; durable when it returns."""
        self._remove(app, "promotion.json")

    def in_flight(self, app: AppName) -> InFlight | None:
        """The mark of a seeding run; None also when it cannot be read: it fails open."""
        try:
            return self._read(app, "inflight.json", InFlight)
        except StateError:
            return None

    def put_in_flight(self, app: AppName, record: InFlight) -> None:
        """Leave the mark, if that is possible: without it the next look asks again."""
        with contextlib.suppress(OSError):
            self._write(app, "inflight.json", record)

    def end_in_flight(self, app: AppName) -> None:
        """Take the mark away; never raises."""
        with contextlib.suppress(OSError):
            self._remove(app, "inflight.json")

    def _greens(self, url: str) -> Path:
        return self.root / "green" / f"{mirror_name(url).removesuffix('.git')}.json"

    def greens(self, url: str) -> Greens:
        """What passed of a recipe; empty if nothing did. What is published names the recipe without its password."""
        path, shown = self._greens(url), Redactor().mask(url)
        found = records.read(path, Greens)
        if found is not None and found.recipe != shown:
            raise StateError(str(path), f"belongs to recipe {found.recipe!r}")
        return found or Greens(recipe=shown)

    def change_greens(self, url: str, change: Callable[[Greens], Greens]) -> None:
        """Read, change and write in one piece: two runs that end together lose nothing."""
        folder = self.root / "green"
        files.make_folder(folder, files.PUBLIC_DIR, self._gid)
        # The folder is what is locked, not the file: the rename gives the file a new inode, and a lock on the
        # old one would guard nothing.
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # held for one rename: tests that end together wait for each other
            # Read under the lock: what was read before it may miss what another run has just written.
            before = self.greens(url)
            after = change(before)
            if after != before:
                files.write_atomic(self._greens(url), records.dump(after), files.PUBLIC_FILE, self._gid)
        finally:
            os.close(fd)
