"""`alerts/`: one JSON file per open condition, `seen/` for the acknowledged and resolved. Effects: files.

A file name is `<UTC stamp>-<app>-<reason>.json`, so that a plain `ls` reads like a log.
"""

import errno
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.model.alert import Alert
from reconciler.model.errors import StateError
from reconciler.state import files, records

RESERVE_BYTES = 1 << 20
_Key = tuple[int, int, int]


class AlertStore:
    """Open and archived alerts: raised and resolved by the engine, listed and acknowledged by people."""

    def __init__(self, folder: Path, gid: int | None = None, remind_after_s: float = 86400.0) -> None:
        self.folder = folder
        self.seen = folder / "seen"
        self._gid = gid
        self._remind_after = timedelta(seconds=remind_after_s)
        self._cache: dict[Path, tuple[int, list[tuple[Path, Alert]]]] = {}
        self._files: dict[Path, dict[str, tuple[_Key, Alert]]] = {}

    def prepare(self) -> None:
        """Make the folders and a reserve file that is freed when the disk is full and an alert must be written."""
        files.keep_folder(self.folder, files.PUBLIC_DIR, self._gid)
        files.keep_folder(self.seen, files.PUBLIC_DIR, self._gid)
        for copy in self.folder.glob(".relayed.json.unreadable-*"):
            copy.unlink(missing_ok=True)  # versions before took the relay's marks for an alert that is damaged
        # A full disk is the most likely reason for an alert, so the room for one is set aside while there is
        # some.
        reserve = self.folder / ".reserve"
        if not reserve.exists():
            fd = os.open(reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
            try:
                # Blocks, not a hole: a sparse file would free nothing when it is unlinked.
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            except OSError:
                reserve.unlink()  # no room for a reserve now; a later start makes it
            finally:
                os.close(fd)

    def raise_(self, alert: Alert, *, anew: bool = False) -> None:
        """Create, or update the open one with the same fingerprint; durable when it returns.

        An acknowledged condition that still stands stays quiet, unless it happened `anew`.

        One that is open is counted, and told again only for a new detail or when a reminder is due.
        """
        # An acknowledgement moves the file to seen/ while the condition may still stand. Without this look
        # every pass would open a new alert for what the operator has already seen.
        if not anew and any(
            _is_standing(old, alert.app) and old.fingerprint == alert.fingerprint for _, old in self.archived(alert.app)
        ):
            return
        for path, open_alert in self.open(alert.app):
            if open_alert.fingerprint != alert.fingerprint:
                continue
            told, told_at = open_alert.told or open_alert.count, open_alert.told_at or open_alert.last_at
            if self._is_news(open_alert, alert, told_at):
                told, told_at = told + 1, alert.last_at
            # The file name carries the first moment, so it and `first_at` stay: an updated alert keeps its place
            # in `ls`.
            counted = {"first_at": open_alert.first_at, "count": open_alert.count + 1}
            self._write(path, alert.model_copy(update={**counted, "told": told, "told_at": told_at}))
            return
        self._write(self._new_path(alert), alert.model_copy(update={"told": 1, "told_at": alert.last_at}))

    def count_on(self, app: str, fingerprints: Sequence[str], now: datetime) -> None:
        """Note of open alerts that a pass saw to stand still, without a new word to say."""
        for path, alert in self.open(app):
            if alert.fingerprint in fingerprints:
                told = {"told": alert.told or alert.count, "told_at": alert.told_at or alert.last_at}
                self._write(path, alert.model_copy(update={"count": alert.count + 1, "last_at": now, **told}))

    def _is_news(self, before: Alert, after: Alert, told_at: datetime) -> bool:
        due = after.last_at - told_at >= self._remind_after
        ours = (after.evidence, after.notes, after.op_id, after.clears_when)
        return due or ours != (before.evidence, before.notes, before.op_id, before.clears_when)

    def _new_path(self, alert: Alert) -> Path:
        """A name of its own, also where two conditions of one reason are found at the same instant."""
        at = alert.first_at
        # The name is made of time, app and reason, and conditions of one reason differ only inside: without
        # this the second would replace the first.
        while (path := self.folder / f"{at:%Y%m%dT%H%M%S.%fZ}-{alert.app}-{alert.reason}.json").exists():
            at += timedelta(microseconds=1)
        return path

    def resolve(self, app: str, keep: Sequence[str], *, spare: str | None = None, reason: str | None = None) -> None:
        """Move open conditions of the app whose fingerprint is not in `keep` to seen/ as resolved.

        `spare`: alerts of this operation are left alone. `reason`: only alerts of this reason are treated.
        """
        for path, alert in self.open(app):
            spared = (spare is not None and alert.op_id == spare) or reason not in (None, alert.reason)
            if alert.fingerprint not in keep and not spared:
                self._archive(path, alert, "resolved")
        for path, alert in self.archived(app):
            # An acknowledged condition that is over is marked so: if it comes again, it is news.
            if _is_standing(alert, app) and alert.fingerprint not in keep and reason in (None, alert.reason):
                self._write(path, alert.model_copy(update={"resolution": f"{alert.resolution}, then resolved"}))

    def acknowledge(self, name: str, now: datetime) -> Alert:
        """Move an open alert to seen/.

        Raises:
            StateError: no open alert of that name.
        """
        for path, alert in self.open():
            if path.name == name or path.stem == name:
                self._archive(path, alert, f"acknowledged at {now:%Y-%m-%dT%H:%M:%SZ}")
                return alert
        raise StateError(str(self.folder / name), "no such open alert")

    def _archive(self, path: Path, alert: Alert, resolution: str) -> None:
        # The archive copy is durable before the open one goes: a crash shows it twice, never not at all.
        self._write(self.seen / path.name, alert.model_copy(update={"resolution": resolution}))
        path.unlink(missing_ok=True)
        files.sync_folder(self.folder)

    def open(self, app: str = "") -> list[tuple[Path, Alert]]:
        """Open alerts, of one app if it is named, oldest first; a damaged file is skipped and named by `doctor`.

        Raises:
            StateError: the folder, or a file in it, may not be read by us.
        """
        return self._list(self.folder, app)

    def archived(self, app: str = "") -> list[tuple[Path, Alert]]:
        """Acknowledged and resolved alerts, oldest first; as `open`."""
        return self._list(self.seen, app)

    def _list(self, folder: Path, app: str) -> list[tuple[Path, Alert]]:
        """Cached by the folder's own time, which every rename into it moves: a quiet pass asks for each app."""
        try:
            stamp = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise StateError(str(folder), f"cannot be read: {exc.strerror}") from exc
        # Only renames change these files, and each one moves the folder's time; a file that is edited in
        # place by hand is seen after the next rename.
        cached = self._cache.get(folder)
        if cached is not None and cached[0] == stamp:
            return [one for one in cached[1] if app in ("", one[1].app)]
        known = self._files.setdefault(folder, {})
        # Each rename makes the list anew, and one of a thousand has changed: only that one is read, and where one
        # app is asked for, only those that bear its name are looked at.
        names = [name for name in files.list_folder(folder, ".json") if not app or f"-{app}-" in name]
        read = {name: found for name in names if (found := _read(folder / name, known.get(name))) is not None}
        listed = [(folder / name, alert) for name, (_, alert) in read.items()]
        if app:
            known.update(read)
            return [one for one in listed if one[1].app == app]
        self._files[folder], self._cache[folder] = read, (stamp, listed)
        return listed

    def _write(self, path: Path, alert: Alert) -> None:
        data = records.dump(alert)
        try:
            files.write_atomic(path, data, files.PUBLIC_FILE, self._gid)
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # This is what the reserve is for; the next start makes another one when there is room.
            (self.folder / ".reserve").unlink(missing_ok=True)
            files.write_atomic(path, data, files.PUBLIC_FILE, self._gid)


def _read(path: Path, known: tuple[_Key, Alert] | None) -> tuple[_Key, Alert] | None:
    """An alert with what tells whether its file is still the same; None: it is gone, or damaged."""
    try:
        stat = path.stat()
    except OSError:
        stat = None  # reading says why
    key = (stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat is not None else (0, 0, 0)
    if known is not None and known[0] == key:
        return known
    try:
        alert = records.read(path, Alert)
    except StateError as exc:
        # An alert that only others may read still stands.
        if isinstance(exc.__cause__, PermissionError):
            raise
        return None
    return None if alert is None else (key, alert)


def _is_standing(alert: Alert, app: str) -> bool:
    """Say whether an archived alert was acknowledged while its condition still stands."""
    resolution = alert.resolution or ""
    return alert.app == app and resolution.startswith("acknowledged") and not resolution.endswith("resolved")
