"""Cold runs as child processes that end with us. Effects: processes, logs in `sweeps/`.

Children are forked from a server that has the program loaded already, so that a small recipe costs its deploys and not
the start of Python; each is a process of its own all the same.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from reconciler.model.errors import ActError, Interrupted, LockBusy
from reconciler.model.ids import AppName
from reconciler.model.printed_runs import RunShown
from reconciler.model.testrun import Run
from reconciler.state import files, records

Program = Callable[[Sequence[str]], None]
_BUSY = 75
_POLL_S = 0.1
_TAIL = 400
_LOADED = (
    "reconciler.cli.main",
    "reconciler.cli.runs",
    "reconciler.app",
    "reconciler.engine.testrun.cold",
    "reconciler.adapters.swarm.engine",
    "reconciler.adapters.checks",
    "docker",
)


class ColdRuns:
    """`ci-warm cold` once per recipe. `program`: the command line; `wait`: raises Interrupted when asked to stop."""

    def __init__(
        self, program: Program, config: Path, state: Path, folder: Path, wait: Callable[[float], None]
    ) -> None:
        self._program = program
        self._base = ["--config", str(config), "--state-dir", str(state)]
        self._folder = folder
        self._scratch = state / "work"
        self._wait = wait
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_LOADED))

    def run(self, app: AppName, log: str, wait_s: float) -> Run:
        """One to its end. LockBusy: no place came free in time; ActError: it left no report. Ends with us."""
        said, answer = self._folder / log, self._scratch / f"{log}.json"
        # Made before the child: it opens them without O_CREAT, so that what lies there is ours.
        for path in (said, answer):
            files.write_atomic(path, b"")
        words = [*self._base, "cold", app, "--no-fetch", "--json", "--wait", f"{wait_s:.0f}"]
        child = self._context.Process(target=_cold, args=(self._program, words, str(answer), str(said)))
        try:
            child.start()
            code = self._await(child)
            report = answer.read_bytes()
        finally:
            answer.unlink(missing_ok=True)
        if code == _BUSY:
            raise LockBusy(app, _tail(said), _tail(said))
        try:
            return records.parse(report, RunShown)
        except ValueError as exc:
            raise ActError(f"ci-warm cold {app} ended with {code} and no report: {_tail(said)}") from exc

    def _await(self, child: "multiprocessing.context.ForkServerProcess") -> int | None:
        try:
            while not wait_for([child.sentinel], _POLL_S):
                self._wait(0)
        except Interrupted:
            child.terminate()
            child.join()  # it tears down what it made, within its own patience
            raise
        child.join()
        return child.exitcode


def _tail(path: Path) -> str:
    return path.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()


def _cold(program: Program, words: Sequence[str], answer: str, said: str) -> None:
    """Runs in the child. When the sweep is gone it is asked to stop, and tears down what it made."""
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    for path, target in ((answer, 1), (said, 2)):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        # On the descriptors and not on sys.stdout alone: git and docker write there as well.
        os.dup2(fd, target)
        os.close(fd)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    try:
        program(words)
    finally:
        sys.stdout.flush()


def _end_with_the_sweep() -> None:
    """Not by a parent-death signal: our parent is the server, which lives as long as we do."""
    sweep = multiprocessing.parent_process()
    if sweep is not None:
        wait_for([sweep.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
