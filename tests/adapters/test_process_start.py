"""How programs are started: those that do something die with us, a brief one only reads."""

import subprocess
import sys

import pytest

from reconciler.adapters import process
from reconciler.model.errors import ActError


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
    assert seen == [process.die_with_parent, None]
    with pytest.raises(ActError):
        process.run(["/no/such/program"], timeout_s=1, brief=True)
