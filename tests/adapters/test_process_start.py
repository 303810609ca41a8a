"""How programs are started: those that do something die with us, a brief one only reads."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.adapters import process
from reconciler.model.errors import ActError
from tests.processes import is_running
from tests.waiting import until


@pytest.mark.parametrize("brief", [False, True])
def test_what_it_says_and_how_it_ended(brief: bool) -> None:
    ran = process.run(["sh", "-c", "cat; echo no >&2; exit 3"], timeout_s=10, stdin=b"in\n", brief=brief)
    assert (ran.code, ran.raw, ran.output) == (3, b"in\n", "in\nno")


@pytest.mark.parametrize("brief", [False, True])
def test_a_deadline_ends_it_with_all_that_it_started(brief: bool) -> None:
    with pytest.raises(process.TimedOutError):
        process.run(["sh", "-c", "sleep 60 & sleep 60"], timeout_s=0.2, brief=brief)


def test_only_a_brief_one_is_started_without_code_of_ours_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    popen = subprocess.Popen

    def started(*args: object, **kwargs: object) -> object:
        seen.append(kwargs["preexec_fn"])
        return popen(*args, **kwargs)  # type: ignore[call-overload] # as it was asked for

    monkeypatch.setattr(subprocess, "Popen", started)
    process.run([sys.executable, "-c", ""], timeout_s=10)
    process.run([sys.executable, "-c", ""], timeout_s=10, brief=True)
    assert [one is not None for one in seen] == [True, False]


PARENT = """
import os, signal, subprocess, sys
from {module} import ends_with_us
ends = ends_with_us()
def late():
    sys.stdout.write(f"{{os.getpid()}}\\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSTOP)
    ends()
subprocess.Popen(["sleep", "60"], preexec_fn=late)
"""


@pytest.mark.parametrize("module", ["reconciler.adapters.process", "reconciler.adapters.embedded.supervisor"])
def test_a_child_ends_though_its_parent_was_killed_before_it_could_ask_for_that(module: str) -> None:
    argv = [sys.executable, "-c", PARENT.format(module=module)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: "State:\tT" in Path(f"/proc/{child}/status").read_text(), 10, "it stands still")
        parent.kill()
        parent.wait()
    os.kill(child, signal.SIGCONT)
    until(lambda: not is_running(child), 10, "it ended")
    with pytest.raises(ActError):
        process.run(["/no/such/program"], timeout_s=1, brief=True)
