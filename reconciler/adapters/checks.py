"""The commands that judge an app. Effects: processes, one log each.

A check is foreign code: its words are capped and masked, and whatever it starts ends with it. What leaves its process
group is found by a mark in its environment.
"""

import contextlib
import errno
import os
import pwd
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from typing_extensions import override

from reconciler.adapters import process
from reconciler.core.redact import Redactor
from reconciler.model.errors import ActError
from reconciler.model.testrun import CheckResult
from reconciler.ports.checks import CheckJob, Checks
from reconciler.state import files

MARK = "CI_WARM_CHECK_ID"
_POLL_S = 0.05
_GRACE_S = 5.0
_SHOWN = 300
_CHUNK, _LONG_LINE, _OVERLAP = 16 << 10, 48 << 10, 4 << 10


class CommandChecks(Checks):
    """Checks as child processes. `wait`: pauses, and raises Interrupted when a stop was asked for."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait

    @override
    def run(self, job: CheckJob) -> CheckResult:
        began = time.monotonic()
        problem = self._judge(job)
        return CheckResult(
            name=job.check.name,
            passed=problem is None,
            required=job.check.required,
            detail=problem or "",
            elapsed_seconds=round(time.monotonic() - began, 3),
        )

    @override
    def end(self, run: str) -> None:
        # A dead run left no process id that could be trusted: numbers are given out again, the environment is
        # not.
        for pid in _marked(f"CI_WARM_RUN={run}"):
            _kill(pid)

    def _judge(self, job: CheckJob) -> str | None:
        """Why it failed; None: it passed."""
        redactor = Redactor(job.secrets)
        program = _program(job)
        if isinstance(program, str):
            return program
        who = _as_user(job.user)
        log = _Log(job.log, job.check.name, job.output_cap, redactor, max(map(len, job.secrets), default=0) * 4)
        # Children that are there already belong to other work of this process.
        mark, before = secrets.token_hex(8), _children()
        # Before the start: what a check leaves behind when it ends falls to us, and not to init, where it
        # would live on.
        process.adopt_orphans()
        # A check is foreign code: it gets what it needs and nothing of the daemon's own environment.
        kept = {name: os.environ[name] for name in process.KEPT if name in os.environ}
        try:
            child = subprocess.Popen(
                [str(program), *job.check.run[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=job.folder,
                env={**kept, **who.environment, **job.environment, MARK: mark},
                start_new_session=True,
                preexec_fn=process.ends_with_us(),
                user=who.user,
                group=who.group,
                extra_groups=who.extra_groups,
                umask=process.OPEN_UMASK,
            )
        except OSError as exc:
            log.close()
            # The host's fault, not the recipe's: red would blame a release for a missing capability.
            if job.user and exc.errno == errno.EPERM:
                needs = "CAP_SETUID and CAP_SETGID (docs/runs.md)"
                raise ActError(
                    f"no check can run as {job.user!r}: this process lacks {needs}", host_fault=True
                ) from exc
            return f"{job.check.run[0]} cannot be started: {exc.strerror}"
        reader = threading.Thread(target=log.follow, args=(child.stdout,), daemon=True)
        try:
            reader.start()
            code = self._await(child, job.timeout_s)
        finally:
            _end(child, mark, before)
            if reader.ident is not None:
                reader.join(_GRACE_S)
            log.close()
        if code is None:
            return f"did not end within {job.timeout_s:g} s"
        last = log.last
        return None if code == 0 else f"ended with {code}{f': {last}' if last else ''}"

    def _await(self, child: "subprocess.Popen[bytes]", timeout_s: float) -> int | None:
        deadline = time.monotonic() + timeout_s
        while (code := child.poll()) is None:
            if time.monotonic() > deadline:
                return None
            self._wait(_POLL_S)
        return code


def _program(job: CheckJob) -> Path | str:
    """What to start, or why it cannot be."""
    name = job.check.run[0]
    if "/" not in name:
        return Path(name)
    path = job.folder / name  # an absolute name stays what it is
    if not path.is_file():
        where = "on this host" if name.startswith("/") else "in the recipe's head"
        return f"{name} is not {where}"
    if not os.access(path, os.X_OK):
        return f"{name} is not executable (git update-index --chmod=+x {name})"
    return path


@dataclass(frozen=True)
class _Who:
    """Whom a check runs as; None = as we do. `environment`: what goes with that user."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def _as_user(user: str) -> _Who:
    if not user:
        return _Who()
    try:
        found = pwd.getpwnam(user)
    except KeyError as exc:
        raise ActError(
            f"no check can run as {user!r}: this host has no such user (runs.user)", host_fault=True
        ) from exc
    own = {"HOME": found.pw_dir, "USER": user, "LOGNAME": user}
    return _Who(found.pw_uid, found.pw_gid, (), own)


def _end(child: "subprocess.Popen[bytes]", mark: str, before: AbstractSet[int]) -> None:
    """Kill all of a check: its group, each process that left it with its mark, each orphan that fell to us."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for _ in range(20):  # one that forks faster than we look is met again
        orphans = _children() - before
        found = {*_marked(f"{MARK}={mark}"), *orphans}
        for pid in found:
            _kill(pid)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if not found:
            return
        time.sleep(0.01)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    return [pid for pid in _processes() if mark.encode() in _environment(pid)]


def _children() -> set[int]:
    """Our own children, orphans of a check among them while we adopt them."""
    us = str(os.getpid()).encode()
    return {pid for pid in _processes() if _stat(pid)[1:2] == [us]}


def _stat(pid: int) -> list[bytes]:
    """State, parent, ... of a process; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def _processes() -> list[int]:
    names = [path.name for path in Path("/proc").iterdir()]
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return [] if _stat(pid)[:1] == [b"Z"] else Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


class _Log:
    """A stage's log: what checks say, masked line by line, and no more than the cap."""

    def __init__(self, path: Path, name: str, cap: int, redactor: Redactor, longest: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, files.PUBLIC_FILE)
        self._left = cap
        self._redactor = redactor
        self._overlap = max(_OVERLAP, longest)
        self._lock = threading.Lock()
        self.last = ""
        self._write(f"--- {name}\n".encode())

    def follow(self, stream: IO[bytes] | None) -> None:
        """Take what comes, whole lines at a time; of an endless line as much as no secret can be cut in."""
        if stream is None:
            return
        held = b""
        with contextlib.suppress(ValueError, OSError), stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                held += chunk
                cut = held.rfind(b"\n") + 1
                # Masking works on whole text: a secret across a cut would be written in two halves that no
                # rule knows. So as much is held back as the longest secret is long.
                if cut == 0 and len(held) > _LONG_LINE:
                    cut = len(held) - self._overlap
                self._take(held[:cut])
                held = held[cut:]
            self._take(held)

    def _take(self, data: bytes) -> None:
        if data:
            text = self._redactor.mask(data.decode("utf-8", "replace"))
            self.last = (text.strip().splitlines() or [self.last])[-1].strip()[:_SHOWN] or self.last
            self._write(text.encode())

    def _write(self, data: bytes) -> None:
        with self._lock:
            if self._fd < 0 or self._left <= 0:
                return
            piece = data[: self._left]
            self._left -= len(data)
            with contextlib.suppress(OSError):  # a full disk must not fail a check that passes
                files.write_all(self._fd, piece if self._left > 0 else piece + b"\n(the rest was cut)\n")

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
