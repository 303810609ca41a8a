"""What a pipeline gets of a test run: its log as it grows, its folder, its JUnit file.

Effects: stderr, a thread, copies of files.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from reconciler.model.errors import UsageError
from reconciler.model.testrun import Run

_LOOK_S = 0.3
_FORGES = ("GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS")
"""Set by runners that fold `::group::` in a log."""
_PRIVATE = frozenset({"work", "checkout"})


class Follower:
    """Writes each stage's log to stderr while it grows, below a heading. Logs carry no known secrets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._groups = any(os.environ.get(name) for name in _FORGES)
        self._read: dict[str, int] = {}
        self._shown = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="run-log", daemon=True)

    def begin(self, run: Run) -> None:
        """The run is on record from now on."""
        self._folder = self._folder / run.run
        _say(f"run {run.run}: {self._folder}")
        self._thread.start()

    def end(self) -> None:
        """Write what is left."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(_LOOK_S):
            self._look()
        self._look()
        self._close_group()

    def _look(self) -> None:
        with contextlib.suppress(OSError):  # a log that cannot be read now is read at the next look
            for path in sorted(self._folder.glob("*.log"), key=lambda path: path.stat().st_ctime_ns):
                self._show(path)

    def _show(self, path: Path) -> None:
        with path.open("rb") as log:
            log.seek(self._read.get(path.name, 0))
            text = log.read()
        # A line that is being written comes with the next look, unless there is none.
        if not self._over.is_set():
            text = text[: text.rfind(b"\n") + 1]
        if not text:
            return
        self._read[path.name] = self._read.get(path.name, 0) + len(text)
        if self._shown != path.stem:
            self._close_group()
            _say(f"::group::{path.stem}" if self._groups else f"== {path.stem}")
            self._shown = path.stem
        _say(text.decode(errors="replace").rstrip("\n"))

    def _close_group(self) -> None:
        if self._shown and self._groups:
            _say("::endgroup::")
        self._shown = ""


@contextlib.contextmanager
def following(folder: Path) -> Iterator[Follower]:
    """Follow a run that is begun in this block, if nobody sits at a terminal."""
    made = Follower(folder)
    try:
        yield made
    finally:
        made.end()


def is_wanted() -> bool:
    """Say whether the log goes to a file or a pipe: at a terminal there is progress instead."""
    return not sys.stderr.isatty()


def check_targets(junit: Path | None, artefacts: Path | None) -> None:
    """Before anything is begun: a test of ten minutes must not end at a path that was mistyped.

    Raises:
        UsageError: there is no such place, or something is in the way.
    """
    if junit is not None and (junit.is_dir() or not os.access(junit.parent, os.W_OK)):
        raise UsageError(f"--junit {junit}: cannot be written")
    if artefacts is not None and artefacts.exists() and (not artefacts.is_dir() or any(artefacts.iterdir())):
        raise UsageError(f"--artefacts {artefacts}: is not an empty folder")
    if artefacts is not None and not os.access(artefacts if artefacts.is_dir() else artefacts.parent, os.W_OK):
        raise UsageError(f"--artefacts {artefacts}: cannot be written")


def hand_over(folder: Path, junit: Path | None, artefacts: Path | None) -> None:
    """Copy a run's JUnit file, and its whole folder: report, summary, logs, artefacts; links stay links.

    Raises:
        OSError: it cannot be written.
    """
    if junit is not None:
        shutil.copyfile(folder / "junit.xml", junit)
    if artefacts is not None:
        shutil.copytree(folder, artefacts, symlinks=True, ignore=_leave_private, dirs_exist_ok=True)


def _leave_private(folder: str, names: list[str]) -> set[str]:
    """What is ours alone, and what a check made that is neither file, folder nor link: a fifo would be waited for."""
    odd = {name for name in names if not _is_plain(Path(folder, name))}
    return odd | (set(names) & _PRIVATE)


def _is_plain(path: Path) -> bool:
    return path.is_symlink() or path.is_file() or path.is_dir()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
