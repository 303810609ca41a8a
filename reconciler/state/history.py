"""`history.jsonl`: one line per terminal outcome, exactly once per operation. Effects: one file, appended.

Appends rely on local O_APPEND. A torn tail (power loss, full disk) is set aside before the next line is added.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.model.history import HistoryLine
from reconciler.state import files, records, reserve

_TAIL = 1 << 20


class HistoryFile:
    """One line per terminal outcome; appended to, never rewritten."""

    def __init__(self, path: Path, gid: int | None = None) -> None:
        self.path = path
        self._gid = gid

    def append(self, line: HistoryLine) -> None:
        """Add the line unless this operation already has one. Durable when it returns.

        Raises:
            OSError: no room or I/O error; the file holds no half line afterwards that a reader would trust.
        """
        created = not self.path.exists()
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, files.PUBLIC_FILE)
        try:
            # O_APPEND keeps two lines from overlapping, but not the repair below from cutting off a line that
            # another process is just writing.
            fcntl.flock(fd, fcntl.LOCK_EX)
            if created:
                os.fchmod(fd, files.PUBLIC_FILE)
                if self._gid is not None:
                    os.fchown(fd, -1, self._gid)
            # A line appended to a torn tail would become part of it, and both would be unreadable.
            self._repair(fd)
            # A crash between this line and the closing of the journal brings the same operation here again
            # (I7).
            if not self._has(fd, line.op_id):
                self._write(fd, line.model_dump_json(by_alias=True).encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        if created:
            files.sync_folder(self.path.parent)

    def _write(self, fd: int, text: bytes) -> None:
        """All of it or nothing; on a full disk into room that was kept for that."""
        size = os.fstat(fd).st_size
        while True:
            try:
                files.write_all(fd, text)
                return
            except OSError as exc:
                os.ftruncate(fd, size)
                if exc.errno not in files.FULL or not reserve.release(self.path.parent):
                    raise OSError(exc.errno, exc.strerror, str(self.path)) from exc

    def _repair(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        tail = os.pread(fd, min(size, _TAIL), max(0, size - _TAIL))
        if not tail or tail.endswith(b"\n"):
            return
        torn = tail[tail.rfind(b"\n") + 1 :]
        # What was torn is kept: it may be the only trace of an operation.
        keep = self.path.with_name(self.path.name + ".torn")
        with keep.open("ab") as out:
            out.write(torn + b"\n")
            out.flush()
            os.fsync(out.fileno())
        keep.chmod(files.PRIVATE_FILE)
        os.ftruncate(fd, size - len(torn))

    def _has(self, fd: int, op_id: str) -> bool:
        size = os.fstat(fd).st_size
        tail = os.pread(fd, min(size, _TAIL), max(0, size - _TAIL))
        return f'"op_id":"{op_id}"'.encode() in tail

    def size(self) -> int:
        """Bytes; 0 if there is no history yet."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def lines(self, offset: int = 0) -> Iterator[HistoryLine]:
        """Readable lines from a byte on, oldest first; a torn or foreign line is skipped, `doctor` names it."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(offset)
            for raw in stream:
                try:
                    yield records.parse(raw, HistoryLine)
                except ValueError:
                    continue
