"""Test runs as processes of their own, so that a run that hangs or dies hurts nobody else.

Effects: child processes of the daemon; they queue for a place by themselves.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import structlog
from typing_extensions import override

from reconciler.model.ids import AppName
from reconciler.ports.run_starter import RunStarter

log = structlog.get_logger("ci-warm")
_QUEUE_S = 6 * 3600
_END_S = 30.0
_MOST = 16
"""Runs that wait or run at once; more are refused: whoever asks again is heard when some are done."""


class RunProcesses(RunStarter):
    """One child per app and kind of run; a test that is asked for while it runs comes once more when it has ended."""

    def __init__(self, config: Path, state: Path) -> None:
        self._base = [sys.executable, "-m", "reconciler", "--config", str(config), "--state-dir", str(state)]
        self._children: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
        self._again: set[tuple[str, ...]] = set()

    @override
    def seed(self, app: AppName) -> bool:
        words = ("canonical", "seed", app, "--if-cold")
        self.tend()
        return words in self._children or self._start(words)

    @override
    def test(self, app: AppName, mode: str, ref: str | None) -> bool:
        words = (mode, app, *(("--ref", ref) if ref else ()))
        self.tend()
        if words in self._children:
            self._again.add(words)  # the ref may have moved since that one looked at it
            return True
        return self._start(words)

    def _start(self, words: tuple[str, ...]) -> bool:
        if len(self._children) >= _MOST:
            log.warning("run_refused", words=words, reason=f"{_MOST} runs wait or run already")
            return False
        # Their words go where the daemon's go; the report is in runs/.
        self._children[words] = subprocess.Popen(
            [*self._base, *words, "--wait", str(_QUEUE_S)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.info("run_started", words=words)
        return True

    @override
    def tend(self) -> None:
        for words, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                log.info("run_ended", words=words, code=code)
                del self._children[words]
        for words in [words for words in self._again if words not in self._children]:
            self._again.discard(words)
            self._start(words)

    @override
    def stop(self) -> None:
        """Ask all to end; they tear down what they made. Who takes too long is the reaper's."""
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_S
        for child in self._children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("run_left", pid=child.pid)
