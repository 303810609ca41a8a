"""`runs/`: a folder, a lock and a report per run. Effects: files in the state root."""

import contextlib
import os
import pwd
import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from reconciler.core.testrun import spec, summary
from reconciler.model.errors import ActError, LockBusy, StateError
from reconciler.model.ids import RunName
from reconciler.model.testrun import Run
from reconciler.state import descent, files, records, removal
from reconciler.state.locks import HeldLock, Locks
from reconciler.state.record_store import RecordStore

_WORK = "work"
_PASSED = 0o751
"""Others may pass through to what is theirs: the checkout and the artefacts of the user that checks run as."""


class RunHandle:
    """One run on disk, its lock held."""

    def __init__(self, folder: Path, gid: int | None, held: HeldLock) -> None:
        self.folder = folder
        self._gid = gid
        self._held = held
        self.work = folder / _WORK
        self.checkout = folder / "checkout"
        self.artefacts = folder / "artefacts"
        self.state = self.work / "state"
        self.store = RecordStore(self.state)

    def prepare(self) -> None:
        """Make the folders inside."""
        files.make_folder(self.work)
        files.make_folder(self.work / "state")
        files.make_folder(self.artefacts, files.PUBLIC_DIR, self._gid)

    def write(self, run: Run) -> None:
        """`run.json`, `summary.txt` and `junit.xml`. The report goes first: it is what a reaper reads."""
        # Imported here: it brings XML, and most who open this store write no report.
        from reconciler.core.testrun import junit

        files.write_atomic(self.folder / "run.json", records.dump(run), files.PUBLIC_FILE, self._gid)
        files.write_atomic(self.folder / "summary.txt", summary.summary(run).encode(), files.PUBLIC_FILE, self._gid)
        files.write_atomic(self.folder / "junit.xml", junit.document(run), files.PUBLIC_FILE, self._gid)

    def log(self, stage: str) -> Path:
        """The log of a stage."""
        path = self.folder / f"{stage}.log"
        if not path.exists():
            files.write_atomic(path, b"", files.PUBLIC_FILE, self._gid)
        return path

    def hand_over(self, user: str, credentials: str) -> str:
        """Let the user that checks run as have the checkout and the artefacts; gives its copy of the credentials.

        `credentials`: path of the file, '' without one. ActError: there is no such user.
        """
        try:
            found = pwd.getpwnam(user)
        except KeyError as exc:
            raise ActError(f"runs.user: there is no user {user!r}", permanent=True) from exc
        for folder in (self.checkout, self.artefacts):
            os.chown(folder, found.pw_uid, found.pw_gid, follow_symlinks=False)
            for place in descent.walk(folder):
                os.chown(place.name, found.pw_uid, found.pw_gid, dir_fd=place.folder, follow_symlinks=False)
        if not credentials:
            return ""
        # A copy in the checkout, because the store's folder is root's alone and the checks' user cannot pass
        # through it.
        own = self.checkout / ".ci-warm-credentials.json"
        files.write_atomic(own, Path(credentials).read_bytes())
        os.chown(own, found.pw_uid, found.pw_gid)
        return str(own)

    def say(self, name: str, text: str) -> None:
        """Add to a log of that name."""
        with self.log(name).open("a", encoding="utf-8", errors="replace") as out:
            out.write(text)

    def publish(self) -> None:
        """Let the operators' group read the artefacts; OSError if that cannot be.

        Links stay as they are: they may point anywhere.
        """
        parent = os.open(self.folder, descent.FOLDER)
        try:
            self._publish(parent, self.artefacts.name, self.artefacts.lstat())
        finally:
            os.close(parent)
        for place in descent.walk(self.artefacts):
            self._publish(place.folder, place.name, place.found)

    def _publish(self, folder: int, name: str, found: os.stat_result) -> None:
        is_folder = stat.S_ISDIR(found.st_mode)
        if not is_folder and not stat.S_ISREG(found.st_mode):
            return
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if self._gid is not None:
                os.chown(f"/proc/self/fd/{fd}", -1, self._gid)
            Path(f"/proc/self/fd/{fd}").chmod(files.PUBLIC_DIR if is_folder else files.PUBLIC_FILE)
        finally:
            os.close(fd)

    def clear(self) -> tuple[str, ...]:
        """Remove what is private; what cannot be removed, in words."""
        tried = (removal.try_to_remove(self.work), removal.try_to_remove(self.checkout))
        return tuple(problem for problem in tried if problem is not None)

    def close(self) -> None:
        """Let go of the lock."""
        self._held.release()


class RunStore:
    """The folder of all runs. Locks lie in a folder of their own and are never unlinked while a report stands."""

    def __init__(self, folder: Path, gid: int | None, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self._gid = gid
        self._locks = Locks(folder / ".locks", now)

    def prepare(self) -> None:
        """Make the folders."""
        files.keep_folder(self.folder, _PASSED, self._gid)
        files.keep_folder(self.folder / ".locks")

    def open(self, run: str, what: str) -> RunHandle:
        """Take the run's lock and make its folder. LockBusy: it is alive."""
        opened = self.reopen(run, what)
        try:
            files.make_folder(opened.folder, _PASSED, self._gid)
            opened.prepare()
        # Also when we are asked to stop: a lock that stays held would make a run that never began look alive.
        except BaseException:
            opened.close()
            raise
        return opened

    def reopen(self, run: str, what: str) -> RunHandle:
        """Take the lock of a run that is on record, and make nothing. LockBusy: it is alive."""
        if not spec.is_run(run):
            raise StateError(run, "is not the name of a run")
        return RunHandle(self.folder / run, self._gid, self._locks.acquire(RunName(run), what))

    def _names(self) -> list[str]:
        found = [name for name in files.list_folder(self.folder, "") if spec.is_run(name)]
        there = [self.folder / name for name in found if (self.folder / name / "run.json").exists()]
        return [path.name for path in sorted(there, key=_age, reverse=True)]

    def report(self, run: str) -> Run | None:
        """One report; None if there is none. StateError if it is unreadable."""
        if not spec.is_run(run):
            return None
        return records.read(self.folder / run / "run.json", Run)

    def reports(self) -> Sequence[Run]:
        """Every readable report, newest first. One that cannot be read is left out here; `doctor` names it."""
        found = []
        for name in self._names():
            with contextlib.suppress(StateError):
                run = self.report(name)
                if run is not None:
                    found.append(run)
        return sorted(found, key=lambda run: run.started_at, reverse=True)

    def is_alive(self, run: str) -> bool:
        """Say whether a process holds its lock."""
        try:
            # This holds the lock for an instant; a reaper that comes just then takes the run for alive and
            # comes again later.
            self._locks.acquire(RunName(run), "ci-warm runs list").release()
        except LockBusy:
            return True
        return False

    def unfinished(self) -> Sequence[Run]:
        """Runs that are not torn down, those that still go on among them."""
        return [run for run in self.reports() if not run.torn_down]

    def prune(self, keep: int) -> None:
        """Remove the oldest finished reports beyond `keep`."""
        for path in self.folder.iterdir():
            if spec.is_run(path.name) and not (path / "run.json").exists():
                self._drop_stillborn(path)
        for run in [run for run in self.reports() if run.torn_down][keep:]:
            removal.try_to_remove(self.folder / run.run)
            with contextlib.suppress(OSError):
                (self.folder / ".locks" / f"{run.run}.lock").unlink()

    def _drop_stillborn(self, path: Path) -> None:
        """A run that died before its report was written has made nothing; one that is just starting has its lock."""
        with contextlib.suppress(LockBusy, OSError):
            held = self._locks.acquire(RunName(path.name), "ci-warm runs reap")
            if not (path / "run.json").exists():
                removal.try_to_remove(path)
                self._locks.path(RunName(path.name)).unlink(missing_ok=True)
            held.release()


def _age(folder: Path) -> float:
    try:
        return (folder / "run.json").stat().st_mtime
    except OSError:
        return 0.0
