"""Tests that somebody waits for: begun again after the daemon was away, and told to the forge as they go on.

Effects: records of asked tests; the forge; starts test runs.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from reconciler import logs
from reconciler.core.testrun import forge_answer
from reconciler.model.asked_test import AskedTest
from reconciler.model.errors import ObserveError
from reconciler.model.ids import AppName
from reconciler.model.request import ForgePlace
from reconciler.model.testrun import Run, RunResult
from reconciler.ports.clock import Clock
from reconciler.ports.forge import Forge
from reconciler.ports.run_starter import LostRun, RunStarter
from reconciler.state.asked_tests import AskedTests
from reconciler.state.runs import RunStore

log = logs.Log()
_GIVEN_UP_S = 86400.0
"""A forge that did not answer for so long is not told any more."""
_LOST = "it ended without a report, and the host's operator has an alert of it"
_FORGOTTEN_S = 2 * 86400.0
"""A test that did not begin for so long never will: its app is gone, or nobody takes it up."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What is known of asked tests and of runs."""

    asked: AskedTests
    runs: RunStore


def begin_again(waiting: Waiting, starter: RunStarter, declared: Sequence[str]) -> None:
    """Start what was asked for and has no end yet; called when the daemon begins, while no test of its own runs."""
    runs = waiting.runs.reports()
    for one in waiting.asked.list():
        run = find_run(runs, one.id)
        goes_on = run is not None and run.result is RunResult.RUNNING and waiting.runs.is_alive(run.run)
        wanted = one.app in declared and not (one.why or one.stopped)
        if wanted and not goes_on and not forge_answer.is_over(one, run):
            log.info("test_asked_again", app=one.app, ref=one.ref, request=one.id)
            starter.test(AppName(one.app), str(one.mode), one.ref, one.id, one.head)


def tell(waiting: Waiting, forge: Forge | None, page: str, clock: Clock) -> None:
    """Bring what the forge shows up to date, and forget what has ended and was told."""
    asked = waiting.asked.list()
    runs = waiting.runs.reports() if asked else ()
    for one in asked:
        run = find_run(runs, one.id)
        told = one
        if forge is not None and one.forge is not None:
            try:
                told = _tell_one(waiting, forge, one, one.forge, (run, page))
            except ObserveError as exc:
                log.warning("forge", request=one.id, error=str(exc))
                if (clock.now() - one.at).total_seconds() < _GIVEN_UP_S:
                    continue
        age_s = (clock.now() - one.at).total_seconds()
        if forge_answer.is_over(told, run) or (run is None and age_s > _FORGOTTEN_S):
            waiting.asked.drop(told)


def tell_askers(waiting: Waiting, lost: Sequence[LostRun]) -> Sequence[LostRun]:
    """Tell who asked for a test that ended without a report; gives those that the people of the host must look at.

    A test that was refused, and said why, or one that nobody wants any more, is no fault of the host's.
    """
    asked = {one.id: one for one in waiting.asked.list()} if lost else {}
    faults = []
    for found in lost:
        askers = [asked[request] for request in found.requests if request in asked]
        for one in askers:
            if not (one.why or one.stopped):
                # The command line and its paths are the host's own, and a forge is read by everybody.
                waiting.asked.refuse(one.id, _LOST)
        if not askers or not all(one.why or one.stopped for one in askers):
            faults.append(found)
    return faults


def find_run(runs: Sequence[Run], request: str) -> Run | None:
    """The newest run that was begun for a request; None: there is none yet."""
    return next((run for run in runs if request in run.requests), None)


def _tell_one(
    waiting: Waiting, forge: Forge, asked: AskedTest, place: ForgePlace, shown: tuple[Run | None, str]
) -> AskedTest:
    """What is on record is what was told: a crash in between tells it once more, in the same comment."""
    text = forge_answer.write_comment(asked, *shown)
    if _digest(text) != asked.told:
        known = forge.comment(place, text, asked.comment)
        asked = asked.model_copy(update={"comment": known, "told": _digest(text)})
        waiting.asked.put(asked)
    status = forge_answer.make_status(asked, *shown)
    if status is not None and (mark := _digest(repr(asdict(status)))) != asked.status:
        forge.set_status(place, status)
        asked = asked.model_copy(update={"status": mark})
        waiting.asked.put(asked)
    return asked


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
