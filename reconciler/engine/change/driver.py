"""Drives a transaction: intent to journal, one step, its result to journal, and again. Effects: through `steps`.

Every decision (what follows, what a failure leads to, where a crash resumes) is in `core.change.transaction`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from reconciler.core.change import outcome as change_outcome
from reconciler.core.change import room, transaction
from reconciler.core.change.transaction import AfterFailure
from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.engine.change import last_words, short_lived
from reconciler.engine.change.stamp import stamp
from reconciler.engine.change.steps.commit import commit
from reconciler.engine.change.steps.deploy import deploy
from reconciler.engine.change.steps.quiesce import quiesce
from reconciler.engine.change.steps.record import record
from reconciler.engine.change.steps.restore import restore
from reconciler.engine.change.steps.settle import settle
from reconciler.engine.change.steps.snapshot import snapshot
from reconciler.engine.change.steps.undeploy import undeploy
from reconciler.engine.change.steps.verify import verify
from reconciler.engine.context import DONE, Before, Context, Done, Judge, StepContext, StepResult
from reconciler.model.action import Outcome
from reconciler.model.errors import StateError
from reconciler.model.health import HealthSpec
from reconciler.model.ids import AppName, OpId, StackName
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.release import Bundle, Release
from reconciler.model.result import Result, ResultKind


def begin(context: Context, journal: Journal) -> Outcome:
    """Open the journal of a new change and drive it to its end."""
    _put(context, journal)
    return _drive(context, journal)


def resume(context: Context, journal: Journal) -> Outcome:
    """Go on with what a crash or a stop left behind; after too many tries ask a human."""
    if journal.stalled:
        return _outcome(context, journal, _stalled_result(journal), ok=False)
    if not room.is_wanted(journal.back_failure):
        # A release that brings the whole host down with it would be tried again at every boot otherwise (I11).
        if journal.resumes >= context.settings.limits.resumes:
            return _stop_trying(context, journal)
        journal = journal.model_copy(update={"resumes": journal.resumes + 1})
        _put(context, journal)  # counted before acting, so that a crash loop ends
    step, failure = transaction.resume(journal, candidate_stands=_candidate_stands(context, journal))
    if failure is not None:
        # What settled was the candidate; recorded with the prior release it would make the next pass see
        # drift.
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
    # By our own label, not by image: two releases may share an image and differ in their settings.
    return all(here.get(name) == journal.target.bundle for name in wanted)


def _drive(context: Context, journal: Journal) -> Outcome:
    ports = context.ports
    while True:
        ports.clock.wait(0)  # a stop request ends here, between two steps
        ports.progress(journal.app, str(journal.step))
        # Tests stop the program at each of these points, by an exception and by SIGKILL (tests/crash).
        ports.effect(f"{journal.step}:before")
        began = ports.clock.monotonic()
        result = _perform(context, journal)
        ports.effect(f"{journal.step}:after")
        # Added up: a step that was interrupted and done again took both times.
        spent = journal.phases.get(journal.step, 0.0) + ports.clock.monotonic() - began
        phases = {**journal.phases, str(journal.step): spent}
        journal = _read_remarks(context, journal).model_copy(update={"phases": phases})
        match result:
            case Done(updates=updates):
                journal = journal.model_copy(update=updates)
                following = transaction.following(journal)
            case Failure():
                journal, following = _after_failure(*_keep_last_words(context, journal, result))
                if following is None:
                    return _keep_journal(context, journal)
        if following is None:
            return _close(context, journal)
        # Only now, with the outcome in the same record: a crash before this line does the step again, which
        # every step bears; a crash after it finds the next step and never the one that is done.
        journal = journal.model_copy(update={"step": following})
        _put(context, journal)


def _perform(context: Context, journal: Journal) -> StepResult:  # noqa: C901 - a row per step
    """Do the journal's current step, and nothing else."""
    at = StepContext(
        ports=context.ports,
        limits=context.settings.limits,
        app=AppName(journal.app),
        stack=StackName(journal.stack),
        step=journal.step,
    )
    match journal.step:
        case Step.OPENED:
            return DONE
        case Step.UNDEPLOY:
            clean = context.spec.upgrade.require_clean_stop
            return undeploy(at, require_clean_stop=clean, resumed=journal.resumes > 0)
        case Step.BACK_UNDEPLOY:
            # What the failed release was writing is given up: how it ended says nothing of what is kept.
            ended = undeploy(at)
            return DONE if isinstance(ended, Done) else ended
        case Step.QUIESCE:
            return quiesce(at, journal.volumes, change=journal.kind)
        case Step.BACK_QUIESCE:
            untouched = not transaction.needs_restore(journal)
            return quiesce(at, journal.volumes, change=journal.kind, data_is_untouched=untouched)
        case Step.SNAPSHOT:
            return snapshot(at, journal.op_id, journal.volumes, journal.origin, journal.killed)
        case Step.DEPLOY | Step.SETTLE | Step.VERIFY:
            return _guard(at, lambda: _bring_up(context, at, journal, journal.target))
        case Step.BACK_DEPLOY | Step.BACK_SETTLE | Step.BACK_VERIFY:
            # Never without an origin (`transaction.back`); the target stands here only for the type.
            return _guard(at, lambda: _bring_up(context, at, journal, journal.origin or journal.target))
        case Step.COMMIT:
            return _commit(context, at, journal)
        case Step.BACK_RESTORE:
            tell = partial(_remark, context, journal)
            return restore(at, journal.op_id, journal.volumes, journal.snapshot, tell)
        case Step.RECORD:
            return record(at, journal)
        case never:
            assert_never(never)


def _bring_up(context: Context, at: StepContext, journal: Journal, release: Release) -> StepResult:
    """Deploy, settle or verify a release: the candidate, or the prior one on the way back."""
    bundle = context.ports.store.bundle(at.app, release.bundle)
    judge, before = _judge(context, journal, bundle), Before(marks=journal.marks, old_tasks=journal.old_tasks)
    match journal.step:
        case Step.DEPLOY | Step.BACK_DEPLOY:
            # Before it is started: from then on it may write.
            _stamp(context, journal, list(bundle.volumes.values()), release)
            return deploy(at, bundle, lambda found: _note(context, journal, found), stays=journal.stateful)
        case Step.SETTLE | Step.BACK_SETTLE:
            return settle(at, bundle, judge.health, before)
        case _:
            return verify(at, bundle, judge, before)


def _stamp(context: Context, journal: Journal, volumes: Sequence[str], release: Release) -> None:
    stateful, app = journal.stateful or context.spec.stateful, AppName(journal.app)
    stamp(context.ports, app, volumes, release, stateful=stateful, op_id=journal.op_id)


def _commit(context: Context, at: StepContext, journal: Journal) -> StepResult:
    bundle = context.ports.store.bundle(at.app, journal.target.bundle)
    # Once more than before the deploy, for volumes that the engine made in it.
    _stamp(context, journal, list(bundle.volumes.values()), journal.target)
    return commit(at, journal)


def _judge(context: Context, journal: Journal, bundle: Bundle) -> Judge:
    """How to judge a release: by what it was rendered with, as the spec may have moved on since the journal opened.

    A heal is judged by the spec of today.
    """
    if journal.kind is Change.HEAL or not bundle.health:
        return Judge(domain=context.spec.domain, health=context.spec.health)
    return Judge(domain=bundle.domain, health=HealthSpec.model_validate(bundle.health))


def _note(context: Context, journal: Journal, before: Before) -> None:
    noted = {"marks": dict(before.marks), "old_tasks": before.old_tasks, "sent": True}
    # Before the engine is told anything: after a crash in the deploy, settling must still tell the tasks of
    # before from those of the candidate, or it would take an old failure for the candidate's.
    context.ports.store.put_journal(journal.model_copy(update=noted))


def _remark(context: Context, journal: Journal, text: str) -> None:
    """Put a remark on record at once, with what is told of the failure: its effect follows, and we may die in that."""
    noted = _read_remarks(context, journal)
    if noted.failure is None:
        raise AssertionError("a way back without a failure")
    if text not in noted.failure.evidence:
        failure = noted.failure.model_copy(update={"evidence": (text, *noted.failure.evidence)})
        context.ports.store.put_journal(noted.model_copy(update={"failure": failure}))


def _read_remarks(context: Context, journal: Journal) -> Journal:
    """The journal with what the step at hand remarked."""
    if journal.step is not Step.BACK_RESTORE:
        return journal
    found = context.ports.store.journal(AppName(journal.app))
    return journal.model_copy(update={"failure": found.failure}) if found is not None else journal


def _guard(at: StepContext, call: Callable[[], StepResult]) -> StepResult:
    """A release that can no longer be read is a failure of the step, not of the program."""
    try:
        return call()
    except StateError as exc:
        return at.fail(str(exc), host=True)


def _keep_last_words(context: Context, journal: Journal, failure: Failure) -> tuple[Journal, Failure]:
    """Before anything goes back: that removes the containers, and all that they said."""
    if journal.step not in transaction.JUDGED_STEPS:
        return journal, failure
    log, words = last_words.keep(context.ports, context.spec, journal)
    told = failure.model_copy(update={"evidence": (*failure.evidence, *words)})
    return journal.model_copy(update={"log": log or journal.log}), told


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


def _keep_journal(context: Context, journal: Journal) -> Outcome:
    """The data part of a way back is not finished: alert, leave everything down, try again next pass."""
    _put(context, journal)
    alert = change_outcome.alert(journal, context.ports.clock.now())
    # The app is down until this ends, so the alert does not wait for the end of the change as it does
    # elsewhere.
    if alert is not None:
        context.ports.alerts.raise_(alert, anew=True)
    return _outcome(context, journal, change_outcome.result(journal), ok=False)


def _stop_trying(context: Context, journal: Journal) -> Outcome:
    ports, now = context.ports, context.ports.clock.now()
    ports.alerts.raise_(change_outcome.stalled_alert(journal, now), anew=True)
    # History before the flag: a crash between them appends once more, and the history knows the operation
    # already.
    ports.history.append(change_outcome.history(journal, now, _stalled_result(journal)))
    _put(context, journal.model_copy(update={"stalled": True}))
    return _outcome(context, journal, _stalled_result(journal), ok=False)


def _close(context: Context, journal: Journal) -> Outcome:
    # Last of all: everything that tells how the change ended is durable by now, so closing loses nothing.
    context.ports.store.close_journal(AppName(journal.app))
    context.ports.effect("closed")
    outcome = _outcome(context, journal, change_outcome.result(journal), ok=change_outcome.is_good(journal))
    if outcome.ok:
        outcome = replace(outcome, evidence=(*outcome.evidence, *short_lived.tell(context, journal)))
    # Upgrades that come after it in this pass are held (`train-stopped`); heals and first deploys are not
    # counted.
    stops = journal.failure is not None and journal.kind in (Change.UPGRADE, Change.ROLLBACK)
    return replace(outcome, stops_train=stops)


def _outcome(context: Context, journal: Journal, result: Result, *, ok: bool) -> Outcome:
    evidence = [f"{f.step}: {f.reason}" for f in (journal.failure, journal.back_failure) if f]
    evidence += [text for f in (journal.failure, journal.back_failure) if f for text in f.evidence]
    evidence += change_outcome.list_remarks(journal)
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


def _stalled_result(journal: Journal) -> Result:
    return Result(kind=ResultKind.STALLED, about=journal.target.version)


def _put(context: Context, journal: Journal) -> None:
    context.ports.store.put_journal(journal)
    context.ports.effect(f"{journal.step}:journaled")
