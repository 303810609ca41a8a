"""`requests/`: the one folder in the state root that unprivileged processes write to; `replies/`: what came of it.

Effects: takes files out of the one, writes files into the other. Everything in `requests/` is hostile until it parses:
no links are followed, sizes are capped, names mean nothing.
"""

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.model.ids import AppName
from reconciler.model.request import REQUEST_ID, Asked, Reply, Request
from reconciler.state import files, records
from reconciler.state.unproven import UnprovenRequests

SHARED_DIR = 0o3770
"""Set-gid, so that what is put there is the group's; sticky, so that nobody takes, keeps or renames another's."""
MAX_BYTES = 16 << 10
MAX_REQUESTS = 100
_KEPT_REJECTED = 100
_KEPT_REPLIES = 500


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A request as it was found. `age_s`: since the file was written last.

    `uid`: who owned the file, None: it has more names than one, so that it may be anybody's.
    """

    request: Request
    uid: int | None
    age_s: float


class RequestQueue:
    """Takes the requests that lie in the folder."""

    def __init__(self, folder: Path, gid: int | None) -> None:
        self.folder = folder
        self.rejected = folder.parent / "requests.rejected"
        self.replies = Replies(folder.parent / "replies", gid)
        self.unproven = UnprovenRequests(folder.parent / "unproven")
        self._gid = gid

    def prepare(self) -> None:
        """Make the folder; the group may write here and nowhere else."""
        files.keep_folder(self.folder, SHARED_DIR if self._gid is not None else files.PRIVATE_DIR, self._gid)
        self.replies.prepare()

    def stamp(self) -> Hashable:
        """Moves when something was put in."""
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

    def waiting(self) -> int:
        """How many requests lie there.

        Raises:
            StateError: the folder cannot be read.
        """
        return len(self._names())

    def _names(self) -> list[str]:
        # Writers rename into place as we do; a dot file is one that is not finished.
        return files.list_folder(self.folder, ".json")

    def take(self) -> Sequence[Taken]:
        """Every request that can be read, taken out; what cannot be read is set aside with the reason.

        A hundred at a time: more stay for the next.

        Raises:
            StateError: the folder cannot be read.
        """
        found = []
        for name in self._names()[:MAX_REQUESTS]:
            path = self.folder / name
            try:
                text, stat_of = _read(path)
                request = records.parse(text, Request)
                path.unlink()  # what was taken away meanwhile is not granted: it may come back, again and again
                uid = stat_of.st_uid if stat_of.st_nlink == 1 else None
                found.append(Taken(request=request, uid=uid, age_s=time.time() - stat_of.st_mtime))
            # Whatever is wrong with one file is that file's matter: the requests behind it are taken all the
            # same.
            except (ValueError, OSError, StateError, RecursionError) as exc:
                self._reject(path, str(exc))
        return found

    def _drop(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                # Not deleted: how deep it goes is up to the process that made it.
                path.rename(self.rejected / f"folder-{secrets.token_hex(6)}")
            else:
                path.unlink()

    def _reject(self, path: Path, why: str) -> None:
        """Say why beside nothing else: what was in the file may be anything and is not kept."""
        files.make_folder(self.rejected)
        line = f"{path.name[:80]!r}: {why[:300]}\n"
        log = self.rejected / "reasons.log"
        old = log.read_text().splitlines(keepends=True)[-(_KEPT_REJECTED - 1) :] if log.exists() else []
        files.write_atomic(log, "".join([*old, line]).encode())
        self._drop(path)


class Replies:
    """What came of requests whose senders wait for it; the newest are kept."""

    def __init__(self, folder: Path, gid: int | None = None) -> None:
        self.folder = folder
        self._gid = gid

    def prepare(self) -> None:
        """Make the folder, which the group may read."""
        files.keep_folder(self.folder, files.PUBLIC_DIR, self._gid)

    def put(self, reply: Reply) -> None:
        """Publish one, and drop the oldest of too many; the first of an id stays. OSError if it cannot be written."""
        if (self.folder / f"{reply.id}.json").exists():
            return
        files.write_atomic(self.folder / f"{reply.id}.json", records.dump(reply), files.PUBLIC_FILE, self._gid)
        names = [self.folder / name for name in files.list_folder(self.folder, ".json")]
        if len(names) > _KEPT_REPLIES:
            for path in sorted(names, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT_REPLIES]:
                path.unlink(missing_ok=True)

    def read(self, request: str) -> Reply | None:
        """The reply to a request; None: there is none yet, or none any more.

        Raises:
            StateError: it is unreadable.
        """
        return records.read(self.folder / f"{request}.json", Reply) if re.fullmatch(REQUEST_ID, request) else None


class RequestSender:
    """Leaves requests for the daemon to take up: our own, one per canonical, and those that were let through."""

    def __init__(self, folder: Path, gid: int | None) -> None:
        self._queue = RequestQueue(folder, gid)

    def ask(self, app: AppName) -> None:
        """Leave a request that the daemon takes up; OSError if it cannot be left."""
        self._queue.prepare()
        request = Request(action=Asked.SEED, app=app, by="ci-warm")
        # One name per app: asking twice before the daemon looks is one request.
        files.write_atomic(self._queue.folder / f"seed-{app}.json", records.dump(request))

    def leave(self, request: Request) -> None:
        """Leave what somebody else asked for, with its id; OSError if it cannot be left."""
        self._queue.prepare()
        files.write_atomic(self._queue.folder / f"{secrets.token_hex(16)}.json", records.dump(request))


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    # Without O_NONBLOCK a fifo would wait for a writer for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Of the open descriptor, not of the path: between a stat by name and the open it could be exchanged.
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is not a plain file")
        if found.st_size > MAX_BYTES:
            raise ValueError(f"has {found.st_size} bytes; the limit is {MAX_BYTES}")
        # The size was looked at, but the writer may still append: the read is capped as well.
        return os.read(fd, MAX_BYTES + 1), found
    finally:
        os.close(fd)
