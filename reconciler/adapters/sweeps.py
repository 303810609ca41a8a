"""`sweeps/`: one report per night, and the log of the command before it. Effects: files, one process."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters import files, process, records
from reconciler.model.errors import ActError
from reconciler.model.reports import Sweep


class SweepFolder:
    """`engine.sweep.Reports` and `engine.sweep.Host`."""

    def __init__(self, folder: Path, gid: int | None) -> None:
        self.folder = folder
        self._gid = gid

    def prepare(self) -> None:
        """Make the folder."""
        files.make_folder(self.folder, files.PUBLIC_DIR, self._gid)

    def read(self, date: str) -> Sweep | None:
        """That night's report.

        Raises:
            StateError: it is unreadable.
        """
        return records.read(self.folder / f"{date}.json", Sweep)

    def write(self, report: Sweep) -> None:
        """One rename; of a sweep that ended also pages for people."""
        files.write_atomic(self.folder / f"{report.date}.json", records.dump(report), files.PUBLIC_FILE, self._gid)
        if report.finished_at is not None:
            from reconciler.adapters import sweep_pages

            for suffix, page in zip(("txt", "html"), sweep_pages.pages(report), strict=True):
                files.write_atomic(self.folder / f"{report.date}.{suffix}", page.encode(), files.PUBLIC_FILE, self._gid)

    def run(self, argv: Sequence[str], date: str, timeout_s: float) -> tuple[int, str]:
        """Run the command before, its words in a file: a pipe of ours would break it if we die before it.

        For the same reason it is not tied to our life. Raises ActError if it cannot be started or does not end.
        """
        log = self.folder / f"{date}-before.log"
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                start_new_session=True,
                env=os.environ | {"HOME": pwd.getpwuid(os.geteuid()).pw_dir},
                umask=process.OPEN_UMASK,
            )
        except OSError as exc:
            raise ActError(f"{argv[0]} cannot be started: {exc.strerror}", host_fault=True) from exc
        finally:
            os.close(fd)
        try:
            return child.wait(timeout_s), str(log)
        except subprocess.TimeoutExpired as exc:
            process.end(child)
            raise ActError(f"{argv[0]} did not end within {timeout_s:g} s; its log is {log}", host_fault=True) from exc

    def resolve(self, link: str) -> str:
        """Where a link leads in the end."""
        return os.path.realpath(link)
