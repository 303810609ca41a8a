"""The command that a sweep runs first, and where its links lead. Effects: one process, its log in `sweeps/`."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters import process
from reconciler.model.errors import ActError
from reconciler.state import files


class SweepCommand:
    """Runs it outside of our own life and sandbox."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, argv: Sequence[str], date: str, timeout_s: float) -> tuple[int, str]:
        """Run the command before, its words in a file: a pipe of ours would break it if we die before it.

        For the same reason it is not tied to our life. Raises ActError if it cannot be started or does not end.
        """
        log = self._folder / f"{date}-before.log"
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                start_new_session=True,
                # The unit's HOME is our own folder; a command of the operator's expects that of its user.
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
