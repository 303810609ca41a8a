"""A demo that is ended half way leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import command_lines
from tests.waiting import until


def supervisors(folder: Path) -> list[int]:
    """Processes of the embedded engine in the demo's folder, and what they run."""
    return [pid for pid, words in command_lines() if str(folder).encode() in words and b"supervisor" in words]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One that has just brought up its first service."""
    argv = [sys.executable, "-m", "reconciler", "demo", "--folder", str(tmp_path / "demo")]
    # A shell that starts us beside itself has Ctrl-C ignored, which a child inherits.
    child = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(lambda: supervisors(tmp_path / "demo") or child.poll() is not None, 60, "the first service is up")
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_of_it_lives_on(demo: "subprocess.Popen[bytes]", tmp_path: Path, number: signal.Signals) -> None:
    demo.send_signal(number)
    assert demo.wait(60) != 0
    until(lambda: not supervisors(tmp_path / "demo"), 30, "its services have ended")
