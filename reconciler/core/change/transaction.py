"""The order of a change, as a table: what follows each step, what a failure leads to, where a crash resumes. Pure.

The journal names the step that is about to be done. Every step may run twice. The rules (docs/adr/0003):

- until the candidate was sent, the data is the prior's own: go on once, then go back without restoring;
- from then on, the candidate may have written: go on if it stands, else restore, then go back;
- from BACK_DEPLOY on, never restore again: the prior has been writing since;
- a way back that cannot finish its data part keeps the journal, so nothing is ever deployed on foreign data.
"""

from enum import StrEnum

from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.settling import Fault

_FORWARD = (Step.UNDEPLOY, Step.QUIESCE, Step.SNAPSHOT, Step.DEPLOY, Step.SETTLE, Step.VERIFY, Step.COMMIT)
_BACK_WITH_DATA = (Step.BACK_UNDEPLOY, Step.BACK_QUIESCE, Step.BACK_RESTORE)
_BACK_TO_PRIOR = (Step.BACK_DEPLOY, Step.BACK_SETTLE, Step.BACK_VERIFY)
_DATA_STEPS = frozenset(_BACK_WITH_DATA)
_CANDIDATE_STEPS = frozenset({Step.DEPLOY, Step.SETTLE, Step.VERIFY, Step.COMMIT})

JUDGED_STEPS = frozenset({Step.SETTLE, Step.VERIFY, Step.BACK_SETTLE, Step.BACK_VERIFY})
"""Steps that fail because of what runs."""


def forward(journal: Journal) -> tuple[Step, ...]:
    """The steps of the way forward, in order."""
    match journal.kind:
        case Change.ROLLBACK:
            return ()
        case Change.UPGRADE if journal.stateful:
            return _FORWARD
        case Change.UPGRADE:
            return (Step.DEPLOY, Step.SETTLE, Step.VERIFY, Step.COMMIT)
        case Change.DEPLOY if journal.snapshot_first:
            return _FORWARD[1:]
        case _:
            return (Step.QUIESCE, Step.DEPLOY, Step.SETTLE, Step.VERIFY, Step.COMMIT)


def back(journal: Journal) -> tuple[Step, ...]:
    """The steps of the way back, in order, given how far the way forward came."""
    failed_at = journal.failure.step if journal.failure else Step.OPENED
    touched_services = failed_at is not Step.OPENED or journal.kind is Change.ROLLBACK
    steps: tuple[Step, ...] = ()
    if journal.kind is Change.HEAL or not touched_services:
        return (Step.RECORD,)
    if journal.stateful or journal.origin is None:
        steps += (Step.BACK_UNDEPLOY, Step.BACK_QUIESCE)
        if needs_restore(journal):
            steps += (Step.BACK_RESTORE,)
    if journal.origin is not None:
        steps += _BACK_TO_PRIOR
    return (*steps, Step.RECORD)


def needs_restore(journal: Journal) -> bool:
    """Say whether the candidate may have written to the volumes since the snapshot."""
    if not journal.stateful or journal.snapshot is None:
        return False
    return journal.kind is Change.ROLLBACK or (journal.failure is not None and journal.failure.step in _CANDIDATE_STEPS)


def following(journal: Journal) -> Step | None:
    """The step after the journal's current one has succeeded; None = the change is over."""
    if journal.step is Step.OPENED:
        steps = forward(journal)
        return steps[0] if steps else back(journal)[0]
    for route in ((*forward(journal), Step.RECORD), back(journal)):
        if journal.step in route:
            at = route.index(journal.step) + 1
            return route[at] if at < len(route) else None
    raise AssertionError(f"step {journal.step} is on no way of this change")


INTERRUPTED = "interrupted"
"""The reason of a failure that says nothing about the release: we were stopped in the middle."""


class AfterFailure(StrEnum):
    """What a failed step leads to."""

    TURN_BACK = "turn back"
    RECORD = "record what could not be done"
    KEEP = "keep the journal: the data part of the way back is not finished"


def after_failure(journal: Journal) -> AfterFailure:
    """Say what to do when the journal's current step has failed."""
    if journal.step in _DATA_STEPS:
        return AfterFailure.KEEP
    if journal.step in _BACK_TO_PRIOR:
        return AfterFailure.RECORD
    return AfterFailure.TURN_BACK


def resume(journal: Journal, *, candidate_stands: bool) -> tuple[Step, Failure | None]:
    """Say where to go on after a crash; a Failure means: turn back for this reason.

    `candidate_stands`: every service of the target carries its bundle, so settling can judge it.
    """
    step = journal.step
    if step in (Step.RECORD, Step.COMMIT) or step in _DATA_STEPS:
        return step, None
    if _is_before_candidate(journal) and not (step is Step.DEPLOY and candidate_stands):
        # A stop is no verdict: the release was gated and not one byte is its own yet. A second try that did not get
        # through may be what stops us, so then the prior comes back, on data that is still its own.
        if journal.resumes <= 1:
            return step, None
        step = Step.SNAPSHOT if step is Step.DEPLOY else step
        return step, _interrupted(step)
    if step is Step.OPENED and journal.kind in (Change.HEAL, Change.ROLLBACK):
        return step, None  # what takes a release is gated anew: the spec may have changed meanwhile
    if step in _BACK_TO_PRIOR:
        return Step.BACK_DEPLOY, None
    if step in _CANDIDATE_STEPS and candidate_stands:
        return Step.SETTLE, None
    return step, _interrupted(step)


def _is_before_candidate(journal: Journal) -> bool:
    """Say whether the change is on its way and the candidate was not handed to the engine yet."""
    return journal.step in (Step.UNDEPLOY, Step.QUIESCE, Step.SNAPSHOT) or (
        journal.step is Step.DEPLOY and not journal.sent
    )


def _interrupted(step: Step) -> Failure:
    return Failure(step=step, reason=INTERRUPTED, evidence=(f"stopped at step {step}",), fault=Fault.HOST)


def is_abort(journal: Journal) -> bool:
    """Say whether the change ended before the candidate was tried: not a verdict on the release."""
    if journal.failure is None or journal.kind is Change.ROLLBACK:
        return False
    return journal.failure.step not in _CANDIDATE_STEPS
