"""Drives a transaction: intent to journal, one step, its result to journal, and again. Effects: through `actions`.

Every decision (what follows, what a failure leads to, where a crash resumes) is in `core.change.transaction`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from reconciler.core.change import outcome as change_outcome
from reconciler.core.change import transaction
from reconciler.core.change.transaction import AfterFailure
from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.engine.change.steps import commit, deploy, quiesce, record, restore, settle, snapshot, undeploy, verify
from reconciler.engine.context import Context, Done, StepResult, Work
from reconciler.model.action import Outcome
from reconciler.model.errors import StateError
from reconciler.model.ids import AppName, OpId, StackName
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.result import Result, ResultKind


def begin(context: Context, journal: Journal) -> Outcome:
    """Open the journal of a new change and drive it to its end."""
    _put(context, journal)
    return _drive(context, journal)


def resume(context: Context, journal: Journal) -> Outcome:
    """Go on with what a crash or a stop left behind; after too many tries ask a human."""
    if journal.stalled:
        return _outcome(context, journal, _stalled(journal), ok=False)
    if journal.resumes >= context.settings.limits.resumes:
        return _stall(context, journal)
    journal = journal.model_copy(update={"resumes": journal.resumes + 1})
    _put(context, journal)  # counted before acting, so that a crash loop ends
    step, failure = transaction.resume(journal, candidate_stands=_candidate_stands(context, journal))
    if failure is not None:
        journal = journal.model_copy(update={"failure": failure, "settled_services": {}})
        step = transaction.back(journal)[0]
    if step is not Step.RECORD:  # there it is the verdict that is being recorded
        journal = journal.model_copy(update={"back_failure": None})
    journal = journal.model_copy(update={"step": step})
    _put(context, journal)
    return _drive(context, journal)


def _candidate_stands(context: Context, journal: Journal) -> bool:
    """Say whether every service of the target is there and carries its bundle."""
    stack = context.ports.engine.observe_stack(StackName(journal.stack))
    wanted = journal.target.images
    here = {service.name: service.labels.get(LABEL_BUNDLE) for service in stack.services}
    return all(here.get(name) == journal.target.bundle for name in wanted)


def _drive(context: Context, journal: Journal) -> Outcome:
    ports = context.ports
    while True:
        ports.clock.wait(0)  # a stop request ends here, between two steps
        ports.progress(journal.app, str(journal.step))
        ports.effect(f"{journal.step}:before")
        began = ports.clock.monotonic()
        result = perform(Work(context=context, journal=journal))
        ports.effect(f"{journal.step}:after")
        spent = journal.phases.get(journal.step, 0.0) + ports.clock.monotonic() - began
        journal = journal.model_copy(update={"phases": {**journal.phases, str(journal.step): spent}})
        match result:
            case Done(updates=updates):
                journal = journal.model_copy(update=updates)
                following = transaction.following(journal)
            case Failure():
                journal, following = _after_failure(journal, result)
                if following is None:
                    return _keep(context, journal)
        if following is None:
            return _close(context, journal)
        journal = journal.model_copy(update={"step": following})
        _put(context, journal)


def perform(work: Work) -> StepResult:
    """Do the journal's current step, and nothing else."""
    match work.journal.step:
        case Step.OPENED:
            return Done(updates={})
        case Step.UNDEPLOY | Step.BACK_UNDEPLOY:
            return undeploy.act(work)
        case Step.QUIESCE | Step.BACK_QUIESCE:
            return quiesce.act(work)
        case Step.SNAPSHOT:
            return snapshot.act(work)
        case Step.DEPLOY:
            return _guard(work, lambda: deploy.act(work, prior=False))
        case Step.SETTLE:
            return settle.act(work, prior=False)
        case Step.VERIFY:
            return verify.act(work, prior=False)
        case Step.COMMIT:
            return commit.act(work)
        case Step.BACK_RESTORE:
            return restore.act(work)
        case Step.BACK_DEPLOY:
            return _guard(work, lambda: deploy.act(work, prior=True))
        case Step.BACK_SETTLE:
            return settle.act(work, prior=True)
        case Step.BACK_VERIFY:
            return verify.act(work, prior=True)
        case Step.RECORD:
            return record.act(work)
        case _:
            assert_never(work.journal.step)


def _guard(work: Work, call: Callable[[], StepResult]) -> StepResult:
    """A release that can no longer be read is a failure of the step, not of the program."""
    try:
        return call()
    except StateError as exc:
        return Failure(step=work.journal.step, reason=str(exc)[:500], fault="host")


def _after_failure(journal: Journal, failure: Failure) -> tuple[Journal, Step | None]:
    """Note the failure where it belongs; None = the journal must stay as it is."""
    match transaction.after_failure(journal):
        case AfterFailure.TURN_BACK:
            turned = journal.model_copy(update={"failure": failure, "settled_services": {}})
            return turned, transaction.back(turned)[0]
        case AfterFailure.RECORD:
            return journal.model_copy(update={"back_failure": failure}), Step.RECORD
        case AfterFailure.KEEP:
            return journal.model_copy(update={"back_failure": failure}), None
        case never:
            assert_never(never)


def _keep(context: Context, journal: Journal) -> Outcome:
    """The data part of a way back is not finished: alert, leave everything down, try again next pass."""
    _put(context, journal)
    alert = change_outcome.alert(journal, context.ports.clock.now())
    if alert is not None:
        context.ports.alerts.raise_(alert, anew=True)
    return _outcome(context, journal, change_outcome.result(journal), ok=False)


def _stall(context: Context, journal: Journal) -> Outcome:
    ports, now = context.ports, context.ports.clock.now()
    ports.alerts.raise_(change_outcome.stalled_alert(journal, now), anew=True)
    ports.history.append(change_outcome.history(journal, now, _stalled(journal)))
    _put(context, journal.model_copy(update={"stalled": True}))
    return _outcome(context, journal, _stalled(journal), ok=False)


def _close(context: Context, journal: Journal) -> Outcome:
    context.ports.store.close_journal(AppName(journal.app))
    context.ports.effect("closed")
    outcome = _outcome(context, journal, change_outcome.result(journal), ok=change_outcome.is_good(journal))
    stops = journal.failure is not None and journal.kind in (Change.UPGRADE, Change.ROLLBACK)
    return replace(outcome, stops_train=stops)


def _outcome(context: Context, journal: Journal, result: Result, *, ok: bool) -> Outcome:
    evidence = [f"{f.step}: {f.reason}" for f in (journal.failure, journal.back_failure) if f]
    evidence += [text for f in (journal.failure, journal.back_failure) if f for text in f.evidence]
    if journal.resumes:
        evidence.append("resumed")
    return Outcome(
        app=context.app,
        result=result,
        ok=ok,
        changed=True,
        op_id=OpId(journal.op_id),
        evidence=tuple(evidence),
    )


def _stalled(journal: Journal) -> Result:
    return Result(kind=ResultKind.STALLED, about=journal.target.version)


def _put(context: Context, journal: Journal) -> None:
    context.ports.store.put_journal(journal)
    context.ports.effect(f"{journal.step}:journaled")
