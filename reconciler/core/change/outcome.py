"""What a finished change is called: result line, alert, memory. Pure: journal in, records out."""

from datetime import datetime, timedelta
from typing import assert_never

from reconciler.core.change import backoff, transaction
from reconciler.core.conditions import (
    UNHEALTHY,
    ChangeAborted,
    ChangeStalled,
    Condition,
    FirstDeployFailed,
    NotWell,
    ReleaseRolledBack,
    RollbackFailed,
)
from reconciler.model.alert import Alert
from reconciler.model.history import HistoryLine
from reconciler.model.journal import Change, Journal, Step
from reconciler.model.memory import Memory, Quarantine
from reconciler.model.release import Fallback, KnownGood
from reconciler.model.result import Result, ResultKind
from reconciler.model.settling import Fault

UNSEEN_STOP = "how the app ended is not known: ci-warm was stopped while it took it down"
ABSENT = "absent"
"""Reason of a heal that brings the whole app back, not single services."""


def result(journal: Journal) -> Result:
    """What a change that is over came to."""
    kind = _choose_kind(journal)
    target, origin = journal.target.version, journal.origin.version if journal.origin else ""
    match kind:
        case ResultKind.UPGRADED:
            return Result(kind=kind, about=origin, to=target)
        case ResultKind.ABORTED if origin:
            return Result(kind=kind, about=origin, to=target)
        case ResultKind.ROLLED_BACK | ResultKind.ROLLBACK_FAILED:
            return Result(kind=kind, about=target, to=origin)
        case _:
            return Result(kind=kind, about=target)


def _choose_kind(journal: Journal) -> ResultKind:
    went_well = is_good(journal)
    match journal.kind:
        case Change.HEAL if went_well:
            return ResultKind.DEPLOYED if journal.reason == ABSENT else ResultKind.HEALED
        case Change.HEAL:
            return ResultKind.UNHEALTHY
        case Change.DEPLOY if went_well:
            return ResultKind.DEPLOYED
        case Change.DEPLOY:
            return ResultKind.ABORTED if transaction.is_abort(journal) else ResultKind.DEPLOY_FAILED
        case Change.UPGRADE if went_well:
            again = journal.origin is not None and journal.origin.version == journal.target.version
            return ResultKind.RECONFIGURED if again else ResultKind.UPGRADED
        case Change.UPGRADE | Change.ROLLBACK:
            if journal.back_failure is not None:
                return ResultKind.ROLLBACK_FAILED
            return ResultKind.ABORTED if transaction.is_abort(journal) else ResultKind.ROLLED_BACK
        case never:
            assert_never(never)


def is_good(journal: Journal) -> bool:
    """Say whether the app runs what was wanted; a rollback, however well it went, is not that."""
    return journal.failure is None and journal.back_failure is None


def known_good(journal: Journal, before: KnownGood | None, now: datetime) -> KnownGood | None:
    """The record after the change: the target once it is good, else what the data belongs to; None = unchanged."""
    if journal.step is Step.COMMIT and journal.kind is not Change.HEAL:
        origin = journal.origin
        fallback = (
            Fallback(release=origin, snapshot=journal.snapshot, desired=journal.origin_desired) if origin else None
        )
        if before is not None and origin is not None and origin.bundle == journal.target.bundle:
            fallback = before.fallback
        return KnownGood(
            app=journal.app,
            stack=journal.stack,
            release=journal.target,
            fallback=fallback,
            services=journal.settled_services,
            desired=journal.desired,
            at=now,
            bake_until=None if journal.bake_s is None else now + timedelta(seconds=journal.bake_s),
        )
    if before is None:
        return None
    if journal.step is Step.COMMIT:
        return before.model_copy(update={"services": journal.settled_services})
    if journal.kind is Change.ROLLBACK and journal.origin is not None:
        if journal.back_failure is not None and not journal.stateful:
            return None  # no data went back: the release that was left is still the good one, and is healed forward
        # The data is the fallback's now, whether its services came up or not.
        return KnownGood(
            app=journal.app,
            stack=journal.stack,
            release=journal.origin,
            services=journal.settled_services,
            desired=journal.origin_desired,
            at=now,
        )
    if journal.settled_services and journal.origin is not None and journal.origin.bundle == before.release.bundle:
        return before.model_copy(update={"services": journal.settled_services})
    return None


def remember(journal: Journal, memory: Memory, now: datetime) -> Memory:
    """What the change teaches: an approval is used up, an app fault quarantines, a host fault backs off."""
    taken = {journal.target.version}
    if journal.kind is Change.ROLLBACK and journal.origin is not None:
        taken = {journal.origin.version}  # going back to an older release is what was approved
    approvals = tuple(
        a.model_copy(update={"used_at": now}) if a.version in taken and a.used_at is None else a
        for a in memory.approvals
    )
    updated = memory.model_copy(update={"approvals": approvals}) if journal.kind is not Change.HEAL else memory
    failure = journal.failure
    if failure is None and journal.back_failure is None:
        return updated.model_copy(update={"host_faults": None})
    if failure is not None and failure.step is Step.OPENED:
        return memory
    if failure is not None and failure.fault is not Fault.APP:
        faults = backoff.after_fault(memory.host_faults, failure.reason, now)
        # Nothing was learnt about the release, so the approval still stands.
        return memory.model_copy(update={"host_faults": faults})
    if failure is None or journal.kind is Change.HEAL:
        return updated
    entry = Quarantine(
        version=journal.target.version,
        commit=journal.target.commit,
        desired=journal.desired,
        reason=failure.reason[:300],
        at=now,
    )
    key = (entry.version, entry.commit, entry.desired)
    others = tuple(q for q in memory.quarantine if (q.version, q.commit, q.desired) != key)
    # The release was not tried: it waits for a word about the app as it ran, and its approval stands.
    updated = memory if transaction.is_abort(journal) else updated
    return updated.model_copy(update={"quarantine": (*others[-19:], entry)})


def alert(journal: Journal, now: datetime) -> Alert | None:
    """The alert of a change that did not go well; None for one that did."""
    if journal.failure is None and journal.back_failure is None:
        return None
    if journal.failure is not None and journal.failure.step is Step.OPENED:
        return None  # stopped before anything was touched
    origin = journal.origin.version if journal.origin else None
    condition = _choose_condition(journal)
    evidence = [f"{f.step}: {f.reason}" for f in (journal.failure, journal.back_failure) if f]
    if journal.kind is Change.ROLLBACK and journal.failure is not None:
        evidence[0] = f"rolled back by {journal.actor}: {journal.failure.reason}"  # nothing failed to verify
    evidence += [text for f in (journal.failure, journal.back_failure) if f for text in f.evidence if text]
    evidence += list_remarks(journal)
    if journal.resumes:
        evidence.append(f"resumed {journal.resumes} times")
    found = condition.alert(now, evidence, origin=origin, target=journal.target.version)
    return found.model_copy(
        update={
            "op_id": journal.op_id,
            "attempted": journal.target.version,
            "last_good": origin,
            "recovered": journal.back_failure is None and origin is not None,
        }
    )


def list_remarks(journal: Journal) -> tuple[str, ...]:
    """What people should know of a change however it ended: the data in a snapshot after a kill is that of a crash."""
    names = ", ".join(journal.killed)
    kills = (f"{names} did not end within the grace and was killed (137) before the snapshot",) if names else ()
    return (*kills, *([UNSEEN_STOP] if journal.unseen_stop else []), *journal.remarks)


def _choose_condition(journal: Journal) -> Condition:
    """What the alert is about; the same as what the result line says."""
    app, version, commit = journal.app, journal.target.version, journal.target.commit
    match _choose_kind(journal):
        case ResultKind.UNHEALTHY:
            return NotWell(app=app, kind=UNHEALTHY, version=version)
        case ResultKind.ROLLBACK_FAILED:
            return RollbackFailed(app=app, version=version, commit=commit)
        case ResultKind.ABORTED:
            waits = journal.failure is not None and journal.failure.fault is Fault.APP
            return ChangeAborted(app=app, version=version, commit=commit, waits=waits)
        case ResultKind.DEPLOY_FAILED:
            return FirstDeployFailed(app=app, version=version, commit=commit)
        case _:
            return ReleaseRolledBack(app=app, version=version, commit=commit)


def stalled_alert(journal: Journal, now: datetime) -> Alert:
    """The alert that asks for a human: an operation did not end in its allowed number of restarts."""
    failure = journal.back_failure or journal.failure
    evidence = [
        f"{journal.kind} stopped {journal.resumes} times at step {journal.step}",
        *((f"{failure.step}: {failure.reason}", *failure.evidence) if failure else ()),
    ]
    origin = journal.origin.version if journal.origin else None
    condition = ChangeStalled(app=journal.app, op_id=journal.op_id)
    found = condition.alert(now, evidence, origin=origin, target=journal.target.version)
    return found.model_copy(
        update={
            "op_id": journal.op_id,
            "attempted": journal.target.version,
            "last_good": origin,
            "recovered": False,
        }
    )


def history(journal: Journal, now: datetime, ended: Result | None = None) -> HistoryLine:
    """The one line of this operation. Elapsed time is wall time, because it may span restarts."""
    failure = journal.failure or journal.back_failure
    message = "; ".join(filter(None, (journal.reason or (failure.reason if failure else ""), *list_remarks(journal))))
    if journal.resumes:
        message = f"{message} (resumed {journal.resumes} times)".strip()
    origin = journal.origin.version if journal.origin else None
    return HistoryLine(
        ts=now,
        op_id=f"{journal.op_id}-stalled" if ended else journal.op_id,
        app=journal.app,
        action=journal.kind,
        from_version=origin,
        to_version=journal.target.version,
        commit=journal.target.commit,
        result=str(ended or result(journal)),
        elapsed_seconds=round(max(0.0, (now - journal.started_at).total_seconds()), 3),
        phases={name: round(seconds, 3) for name, seconds in journal.phases.items()},
        actor=journal.actor,
        message=message[:500],
        found_data=journal.found_data,
        log=journal.log,
    )
