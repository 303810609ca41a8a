"""The one door to other programs: argument lists, a deadline, both streams, no shell. Effects: processes."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.redact import Redactor
from reconciler.model.errors import ActError

OUTPUT_CAP = 256 << 10
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None)
KEPT = (
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "SSL_CERT_FILE",
    "TMPDIR",
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PROXIES = (*_PROXIES, *(name.upper() for name in _PROXIES))
"""How git and docker reach the outside. Not among KEPT: a check asks the app on this host, past every proxy."""
OPEN_UMASK = 0o022
"""For commands of the operator: ours, 0077, would make what they leave behind readable for root alone."""


class TimedOutError(ActError):
    """A program was started and did not end in time."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a program ended. `output`: stdout and stderr as one text, secrets masked; `raw`: stdout alone."""

    code: int
    output: str
    raw: bytes


def run(  # noqa: PLR0913 - what a program has
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    redactor: Redactor | None = None,
    stdin: bytes | None = None,
    umask: int = -1,
    brief: bool = False,
) -> Ran:
    """Run a program to its end; a deadline kills its whole process group. `umask`: -1 leaves ours.

    `brief`: it reads something here and ends by itself, so it need not die with us. That start costs a third: without
    code of ours in the child, the child needs no copy of our memory.

    Raises:
        ActError: it cannot be started, or did not end in time.
    """
    # Only what programs need: the daemon's environment may hold secrets of its service (credentials, tokens).
    base = {name: os.environ[name] for name in (*KEPT, *PROXIES) if name in os.environ} | {"LC_ALL": "C.UTF-8"}
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=base | dict(env or {}),
            cwd=cwd,
            # A group of its own, so that a deadline can kill the program with all that it started.
            start_new_session=True,
            preexec_fn=None if brief else ends_with_us(),
            umask=umask,
        )
    except OSError as exc:
        raise ActError(f"{argv[0]} cannot be started: {exc.strerror}", host_fault=True) from exc
    try:
        out, err = child.communicate(input=stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        end(child)
        raise TimedOutError(
            f"{argv[0]} {argv[1] if len(argv) > 1 else ''} did not end within {timeout_s:g} s",
            host_fault=True,
        ) from exc
    except BaseException:
        end(child)
        raise
    # The end is kept, where programs say what went wrong. Without a redactor `raw` is data that must be
    # whole.
    out, err = out[-OUTPUT_CAP:] if redactor else out, err[-OUTPUT_CAP:]
    text = "\n".join(part.decode("utf-8", "replace").strip() for part in (out, err) if part.strip())
    return Ran(code=child.returncode, output=redactor.mask(text) if redactor else text, raw=out)


def ends_with_us(number: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """For a child to call before it becomes its program: a deploy must not go on when who journals it is gone."""
    parent = os.getpid()

    def ends() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # killed between the fork and the line above, it sends no signal any more
            os.kill(os.getpid(), number)

    return ends


def adopt_orphans() -> None:
    """From now on orphans of our descendants become our children, so that we can find and end them."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end(child: "subprocess.Popen[bytes]") -> None:
    """Kill the whole group; a process that left it and holds the pipes is not waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # Closed, not read to the end: a grandchild that left the group may hold the other end open for ever.
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()
