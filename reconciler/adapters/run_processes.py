"""Test runs as processes of their own, so that a run that hangs or dies hurts no other.

Effects: child processes of the daemon; they queue for a place by themselves.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from reconciler import logs
from reconciler.adapters import program
from reconciler.adapters.run_queue import RunQueue, Words, is_meant
from reconciler.model.ids import AppName
from reconciler.model.testrun import Run
from reconciler.ports.run_starter import LostRun, RunStarter

log = logs.Log()
_QUEUE_S = 6 * 3600
_END_S = 30.0
_MOST = 64
"""Runs that wait or run at once; more are refused; the same request is taken when some are done."""
_SIDE_BY_SIDE, _OF_ONE_APP = 16, 4
"""Processes of them, which queue for a place of `runs.max_tests`; few of one app, so that none keeps others out."""
_NAMED = 16


@dataclass(frozen=True, kw_only=True)
class _Child:
    """One run under way. `since`: when it was started; its report, if it writes one, is not older.

    `requests`: ids of those who asked.
    """

    app: AppName
    process: "subprocess.Popen[bytes]"
    since: datetime
    requests: tuple[str, ...] = ()


class RunProcesses(RunStarter):
    """One child per test; one that is asked for while it runs comes once more when it has ended.

    `reports`: those of all runs, by which a run that failed is told from a program that never came to run.
    """

    def __init__(self, config: Path, state: Path, reports: Callable[[], Sequence[Run]]) -> None:
        self._base = [*program.argv(), "--config", str(config), "--state-dir", str(state)]
        self._reports = reports
        self._children: dict[Words, _Child] = {}
        self._queue = RunQueue(most=_MOST, side_by_side=_SIDE_BY_SIDE, of_one_app=_OF_ONE_APP)
        self._lost: list[LostRun] = []

    @override
    def seed(self, app: AppName) -> bool:
        words = ("canonical", "seed", app, "--if-cold")
        self._note_ended()
        return words in self._children or self._add(words, app, "")

    @override
    def test(self, app: AppName, mode: str, ref: str | None, request: str = "", at: str = "") -> bool:
        words = (mode, app, *(("--ref", ref) if ref else ()), *(("--at", at) if at else ()))
        self._note_ended()
        return self._add(words, app, request)

    def _add(self, words: Words, app: AppName, request: str) -> bool:
        if not self._queue.add(words, app, request, list(self._children)):
            log.warning("run_refused", words=words, reason=f"{_MOST} runs wait or run already")
            return False
        return self._begin_next()

    def _begin_next(self) -> bool:
        """Begin what may begin now; False: one of them cannot be started."""
        started = True
        while (found := self._queue.take({words: child.app for words, child in self._children.items()})) is not None:
            started = self._start(*found) and started
        return started

    def _start(self, words: Words, app: AppName, requests: Sequence[str]) -> bool:
        # Taken before the start: the report of a child that is quick must not look older than the child.
        argv, since = [*self._base, *words, *_name(requests), "--wait", str(_QUEUE_S)], datetime.now(UTC)
        try:
            # Their words go where the daemon's go; the report is in runs/.
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as exc:
            # A request was taken out of its folder for this: without a word it would be lost in silence.
            self._lose(app, f"{' '.join(argv)} cannot be started: {exc.strerror}", requests)
            return False
        self._children[words] = _Child(app=app, process=process, since=since, requests=tuple(requests))
        log.info("run_started", words=words)
        return True

    @override
    def stop_test(self, app: AppName, ref: str | None, spare: str = "") -> int:
        self._note_ended()
        meant = [words for words, child in self._children.items() if child.app == app and is_meant(words, ref, spare)]
        for words in meant:
            self._children[words].process.send_signal(signal.SIGTERM)
        return len(meant) + self._queue.drop(app, ref, spare)

    @override
    def collect_lost(self) -> Sequence[LostRun]:
        self._note_ended()
        lost, self._lost = self._lost, []
        return lost

    def _note_ended(self) -> None:
        for words, child in list(self._children.items()):
            code = child.process.poll()
            if code is not None:
                log.info("run_ended", words=words, code=code)
                del self._children[words]
                # 0 without a report: a canonical that was warm when its turn came.
                if code != 0 and not self._has_report(child):
                    command = " ".join([*self._base, *words])
                    why = f"{command} ended with {code} and no report; the journal has its words"
                    self._lose(child.app, why, child.requests)
        # After the loop above, which may just have made room for it.
        self._begin_next()

    def _has_report(self, child: _Child) -> bool:
        return any(run.app == child.app and run.started_at >= child.since for run in self._reports())

    def _lose(self, app: AppName, why: str, requests: Sequence[str]) -> None:
        log.warning("run_lost", app=app, why=why)
        self._lost.append(LostRun(app=app, why=why, requests=tuple(requests)))

    @override
    def stop(self) -> None:
        """Ask all to end; they tear down what they made. Who takes too long is the reaper's."""
        for child in self._children.values():
            child.process.send_signal(signal.SIGTERM)
        # One deadline for all: they tear down side by side, and systemd waits only so long for us.
        deadline = time.monotonic() + _END_S
        for child in self._children.values():
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("run_left", pid=child.process.pid)


def _name(requests: Sequence[str]) -> list[str]:
    return [word for request in requests[:_NAMED] for word in ("--request", request)]
