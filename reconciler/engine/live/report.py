"""What a pass says about one app: alerts of standing conditions and the status entry. Effects: alerts, memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.change import backoff
from reconciler.core.conditions import Condition, IngressAway, PassFailed, RecordUnreadable
from reconciler.core.live import standing
from reconciler.core.release.facts import AppFacts
from reconciler.engine.context import Context
from reconciler.engine.live.plan import PlannedApp
from reconciler.model.action import Outcome
from reconciler.model.alert import Alert
from reconciler.model.app import Kind
from reconciler.model.canonical import Canonical
from reconciler.model.errors import IngressAwayError, ReconcilerError, StateError
from reconciler.model.hold import HoldReason
from reconciler.model.journal import Journal
from reconciler.model.published import AppStatus, KeptSnapshot
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.status import Assessment, Status


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of an app's pass with its status entry."""

    outcome: Outcome
    status: AppStatus


def finish(context: Context, planned: PlannedApp, outcome: Outcome) -> Report:
    """Bring a live app's open alerts in line with what stands, and describe it.

    An alert that a transaction wrote itself is left alone in the pass that wrote it.
    """
    known = context.ports.store.known_good(context.app) if outcome.changed else planned.facts.known
    end = standing.PassEnd(
        facts=planned.facts,
        assessment=planned.assessment,
        outcome=outcome,
        upgrade=planned.upgrade,
        holds=planned.plan.holds,
        memory=context.ports.store.memory(context.app),
        drill=context.ports.store.drill(context.app) if context.spec.stateful else None,
        left=_find_left(context),
        open=_list_open(context),
    )
    _align_alerts(context, end)
    fallback = known.fallback.release.version if known and known.fallback else None
    return _describe(context, end, known.release.version if known else None, known.at if known else None, fallback)


def finish_canonical(
    context: Context, facts: AppFacts, assessment: Assessment, outcome: Outcome, data: Canonical | None
) -> Report:
    """The same for a canonical. `data`: its known-good data."""
    end = standing.PassEnd(
        facts=facts,
        assessment=assessment,
        outcome=outcome,
        memory=context.ports.store.memory(context.app),
        drill=context.ports.store.drill(context.app) if context.spec.stateful else None,
        in_use=context.ports.canonicals.use(context.app) is not None,
        left=_find_left(context),
        open=_list_open(context),
    )
    _align_alerts(context, end)
    return _describe(context, end, data.version if data else None, data.ts if data else None, None)


def _list_open(context: Context) -> list[Alert]:
    return [alert for _, alert in context.ports.alerts.open(context.app)]


def _find_left(context: Context) -> tuple[str, ...]:
    told = [path for alert in _list_open(context) if (path := standing.find_left_path(alert)) is not None]
    return context.ports.node.snapshots.standing(told) if told else ()


def _describe(
    context: Context, end: standing.PassEnd, known_good: str | None, since: datetime | None, fallback: str | None
) -> Report:
    facts, outcome = end.facts, end.outcome
    problem = (facts.recipe_problem,) if facts.recipe_problem else ()
    snapshot, unreadable = _find_snapshot(context)
    status = AppStatus(
        app=context.app,
        kind=context.spec.kind,
        status=_status_after(end.assessment, outcome),
        result=str(outcome.result),
        known_good=known_good,
        candidate=facts.candidate.text if facts.candidate else None,
        holds=tuple(hold.to_json() for hold in outcome.holds),
        evidence=(*outcome.evidence, *facts.evidence, *problem, *unreadable),
        fallback=fallback,
        at=context.ports.clock.now(),
        known_good_at=since,
        snapshot=snapshot,
        node=", ".join(facts.stack.running_on),
    )
    return Report(outcome=outcome, status=status)


def _find_snapshot(context: Context) -> tuple[KeptSnapshot | None, tuple[str, ...]]:
    """What is kept of the app's data, and why that cannot be told."""
    if not context.spec.stateful:
        return None, ()
    try:
        found = context.ports.node.snapshots.observe(context.app)
    except StateError as exc:
        return None, (str(exc),)
    if found is None:
        return None, ()
    size = sum(volume.archive_bytes for volume in found.volumes)
    return KeptSnapshot(id=found.id, version=found.version, created_at=found.created_at, bytes=size), ()


def _status_after(assessment: Assessment, outcome: Outcome) -> str:
    if not outcome.changed:
        return assessment.status
    if outcome.result.kind is ResultKind.RESTORED:
        return Status.IDLE
    return Status.IN_SYNC if outcome.ok else Status.FAILED


def _align_alerts(context: Context, end: standing.PassEnd) -> None:
    """Raise what this pass found, resolve what it saw to be over."""
    stands = [alert for alert in end.open if standing.still_stands(alert, end)]
    keep = [alert.fingerprint for alert in stands]
    raised: set[str] = set()
    for found in standing.find_conditions(end):
        _raise(context, found.condition, found.evidence, found.origin, found.target, dict(found.notes))
        raised.add(found.condition.fingerprint)
    # An alert that this pass's change wrote was found once and not twice.
    still = [one.fingerprint for one in stands if one.fingerprint not in raised and one.op_id != end.outcome.op_id]
    context.ports.alerts.count_on(context.app, still, context.ports.clock.now())
    keep += raised
    context.ports.alerts.resolve(context.app, keep, spare=end.outcome.op_id)


def _raise(
    context: Context,
    condition: Condition,
    evidence: Sequence[str],
    origin: str | None = None,
    target: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    now = context.ports.clock.now()
    context.ports.alerts.raise_(condition.alert(now, evidence, origin=origin, target=target, notes=notes))


def count_host_fault(context: Context, reason: str) -> None:
    """Remember one more host fault, which lengthens the wait before the next try."""
    memory = context.ports.store.memory(context.app)
    faults = backoff.after_fault(memory.host_faults, reason, context.ports.clock.now())
    context.ports.store.put_memory(memory.model_copy(update={"host_faults": faults}))


def report_busy(context: Context, why: str) -> Report:
    """Another process works on the app."""
    kind = ResultKind.IN_USE if context.spec.kind is Kind.CANONICAL else ResultKind.BUSY
    return _plain(context, Result(kind=kind), (why,), ok=True)


def report_interrupted(context: Context, journal: Journal) -> Report:
    """A stop ended the pass within a change of the app; the next start goes on."""
    origin = f" {journal.origin.version} ->" if journal.origin else ""
    text = (
        f"{journal.kind}{origin} {journal.target.version} was stopped at step {journal.step}; its services may be down"
        f" until ci-warm run, or ci-warm reconcile {context.app}, goes on"
    )
    result = Result(kind=ResultKind.CONVERGING, about=journal.target.version)
    return _plain(context, result, (text,), ok=True, status=Status.INTERRUPTED)


def report_unknown(context: Context, exc: ReconcilerError) -> Report:
    """The world could not be looked at: nothing is done on it."""
    return _plain(context, Result(kind=ResultKind.UNKNOWN), (str(exc),), ok=False)


def report_ingress_away(context: Context, exc: IngressAwayError) -> Report:
    """The app could not be asked: its change stays under way, and somebody has to see to what stands before it."""
    _raise(context, IngressAway(app=context.app), [str(exc)])
    return report_unknown(context, exc)


def report_broken(context: Context, exc: Exception) -> Report:
    """Something could not be done and stopped this app's pass; a journal, if open, stays for the next."""
    _raise(context, PassFailed(app=context.app, error_class=type(exc).__name__), [str(exc)])
    return _plain(context, Result(kind=ResultKind.ERROR), (str(exc),), ok=False)


def report_unreadable(context: Context, exc: StateError) -> Report:
    """One of our records is not to be trusted: hold the app, alert, touch nothing."""
    _raise(context, RecordUnreadable(app=context.app, path=exc.path), [str(exc)])
    return _plain(context, held(HoldReason.STATE), (str(exc),), ok=False)


def _plain(
    context: Context, result: Result, evidence: tuple[str, ...], *, ok: bool, status: Status = Status.UNKNOWN
) -> Report:
    entry = AppStatus(
        app=context.app,
        kind=context.spec.kind,
        status=status,
        result=str(result),
        evidence=evidence,
        at=context.ports.clock.now(),
    )
    return Report(outcome=Outcome(app=context.app, result=result, ok=ok, evidence=evidence), status=entry)
