"""Errands as processes of their own: what they take and whether they die is nothing to the daemon.

Effects: child processes of the daemon, and a thread for each that waits for its end.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from reconciler import logs
from reconciler.adapters import program
from reconciler.model.errand import Errand, ErrandEnd
from reconciler.ports.errands import Errands

log = logs.Log()
ACTOR = "CI_WARM_ACTOR"
"""Names who acts, for a command that a person did not type."""
_MOST = 4
_END_S = 30.0
_BYTES = 1 << 20


class ErrandProcesses(Errands):
    """At most four at once; more are refused, so that whoever asks learns it now and not in an hour."""

    def __init__(self, config: Path, state: Path) -> None:
        self._base = [*program.argv(), "--config", str(config), "--state-dir", str(state)]
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []

    @override
    def begin(self, errand: Errand, done: Callable[[ErrandEnd], None]) -> bool:
        with self._lock:
            if len(self._children) >= _MOST:
                return False
            child = subprocess.Popen(
                [*self._base, *errand.words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, ACTOR: errand.actor},
                start_new_session=True,
            )
            self._children.append(child)
        log.info("errand_begun", words=errand.words, actor=errand.actor, pid=child.pid)
        waiting = threading.Thread(target=self._wait, args=(child, errand, done), name="errand", daemon=True)
        waiting.start()
        return True

    def _wait(self, child: "subprocess.Popen[bytes]", errand: Errand, done: Callable[[ErrandEnd], None]) -> None:
        try:
            output, errors = child.communicate(timeout=errand.limit_s)
        except subprocess.TimeoutExpired:
            child.kill()  # one that may be killed: it only looks
            output, errors = child.communicate()
            errors += f"\nerror: no answer within {errand.limit_s:.0f} s".encode()
        with self._lock:
            self._children.remove(child)
        log.info("errand_ended", words=errand.words, code=child.returncode)
        done(ErrandEnd(code=child.returncode, output=_decode(output), errors=_decode(errors)))

    @override
    def stop(self) -> None:
        with self._lock:
            under_way = list(self._children)
        for child in under_way:
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_S
        for child in under_way:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("errand_left", pid=child.pid)


def _decode(data: bytes) -> str:
    return data[-_BYTES:].decode(errors="replace")
