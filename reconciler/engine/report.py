"""What a pass says about one app: alerts of standing conditions and the status entry. Effects: alerts, memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core import backoff
from reconciler.engine.candidate import Studied
from reconciler.engine.context import Context
from reconciler.engine.observe import Facts
from reconciler.model.action import Outcome
from reconciler.model.errors import ReconcilerError, StateError
from reconciler.model.reports import Alert, AppStatus, Severity
from reconciler.model.spec import Kind
from reconciler.model.status import Assessment, Status
from reconciler.model.verdict import Hold, HoldReason

QUIET = frozenset(
    {
        HoldReason.COOLDOWN,
        HoldReason.WINDOW,
        HoldReason.SUSPENDED,
        HoldReason.TRAIN_STOPPED,
        HoldReason.QUARANTINED,
        HoldReason.UNTESTED,
    }
)
"""Holds that clear by themselves, were asked for, or have an alert of their own already."""
RUN_LOST = "run-lost"
"""A test run that ended without a report; ended by the next one that begins."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of an app's pass with its status entry."""

    outcome: Outcome
    status: AppStatus


def finished(
    context: Context, facts: Facts, assessment: Assessment, outcome: Outcome, studied: Studied | None,
    known_version: str | None = None,
) -> Report:  # fmt: skip
    """Bring the app's open alerts in line with what stands, and describe it.

    An alert that a transaction wrote itself is left alone in the pass that wrote it. `known_version`: a canonical's.
    """
    standing = list(_standing(context, facts, outcome, studied))
    for alert in standing:
        context.ports.alerts.raise_(alert)
    keep = [alert.fingerprint for alert in standing] + _kept(context, facts, assessment, outcome)
    context.ports.alerts.resolve(context.app, keep, spare=outcome.op_id)
    known = context.ports.store.known_good(context.app) if outcome.changed else facts.known
    status = AppStatus(
        app=context.app, kind=context.spec.kind, status=_status_after(assessment, outcome), result=outcome.result,
        known_good=known.release.version if known else known_version,
        candidate=facts.choice.candidate.text if facts.choice.candidate else None,
        holds=tuple(hold_json(hold) for hold in outcome.holds),
        evidence=(*outcome.evidence, *facts.evidence, *((facts.recipe_problem,) if facts.recipe_problem else ())),
        fallback=known.fallback.release.version if known and known.fallback else None, at=context.ports.clock.now(),
    )  # fmt: skip
    return Report(outcome=outcome, status=status)


def _status_after(assessment: Assessment, outcome: Outcome) -> str:
    if not outcome.changed:
        return assessment.status
    if outcome.result.startswith("restored:"):
        return Status.IDLE
    return Status.IN_SYNC if outcome.ok else Status.FAILED


def hold_json(hold: Hold) -> dict[str, str]:
    """A hold as people and programs read it."""
    return {"reason": hold.reason, "detail": hold.detail, "clears_when": hold.clears_when}


def _standing(context: Context, facts: Facts, outcome: Outcome, studied: Studied | None) -> Sequence[Alert]:
    found: list[Alert] = []
    loud = [hold for hold in outcome.holds if hold.reason not in QUIET]
    if loud and studied is not None:
        candidate = studied.candidate
        found.append(
            _alert(
                context, f"held-{loud[0].reason}", Severity.WARNING, key=candidate.version,
                evidence=[f"{hold.reason}: {hold.detail}" for hold in outcome.holds],
                clears_when="; ".join(hold.clears_when for hold in loud), origin=candidate.origin,
                target=candidate.version, notes=dict(candidate.notes),
            )
        )  # fmt: skip
    if not outcome.changed and not outcome.ok:
        name = outcome.result.partition(":")[0]
        found.append(
            _alert(
                context, name, Severity.CRITICAL, key=facts.running or "", evidence=list(outcome.evidence),
                clears_when="the app answers again", origin=facts.running, target=None,
            )
        )  # fmt: skip
    if facts.recipe_problem:
        found.append(
            _alert(
                context, "recipe", Severity.WARNING, key="", evidence=[facts.recipe_problem],
                clears_when="the recipe can be fetched and read again", origin=None, target=None,
            )
        )  # fmt: skip
    return found


def _alert(
    context: Context, reason: str, severity: Severity, *, key: str, evidence: Sequence[str], clears_when: str,
    origin: str | None, target: str | None, notes: dict[str, str] | None = None,
) -> Alert:  # fmt: skip
    now = context.ports.clock.now()
    return Alert(
        app=context.app, reason=reason, severity=severity, from_version=origin, to_version=target, notes=notes or {},
        evidence=tuple(evidence), clears_when=clears_when, fingerprint=f"{context.app}|{reason}|{key}", first_at=now,
        last_at=now,
    )  # fmt: skip


def _kept(context: Context, facts: Facts, assessment: Assessment, outcome: Outcome) -> list[str]:
    """Conditions with an alert of their own that still stand: failed releases, a stalled operation."""
    memory = context.ports.store.memory(context.app)
    keep = _of_canonical(context) if context.spec.kind is Kind.CANONICAL else []
    keep += [
        f"{context.app}|{reason}|{q.version}|{q.commit}"
        for q in memory.quarantine
        for reason in ("rollback", "deploy-failed")
        if facts.choice.candidate is not None and facts.choice.candidate.text == q.version
    ]
    practised = context.ports.store.drill(context.app) if context.spec.stateful else None
    if practised is not None and practised.problems:
        keep.append(f"{context.app}|drill|{practised.snapshot}")
    if memory.host_faults is not None:
        keep += _of_host(context, facts)
    well = assessment.status in (Status.IN_SYNC, Status.OUT_OF_SYNC)
    if not well or (outcome.changed and not outcome.ok):
        keep += [f"{context.app}|rollback-failed|{q.version}|{q.commit}" for q in memory.quarantine]
    if outcome.result.startswith("stalled"):
        keep += [f"{context.app}|stalled|{outcome.op_id}"]
    return keep


def _of_canonical(context: Context) -> list[str]:
    """Told by promotions and restores, and ended by them."""
    dirty = context.ports.canonicals.use(context.app) is not None
    told = [f"{context.app}|promotion", f"{context.app}|{RUN_LOST}|"]
    return [*told, *([f"{context.app}|restore-failed|"] if dirty else [])]


def _of_host(context: Context, facts: Facts) -> list[str]:
    candidate = facts.choice.candidate
    version = candidate.text if candidate else ""
    commit = facts.tags.annotated.get(version, "")
    return [f"{context.app}|{reason}|{version}|{commit}" for reason in ("aborted", "rollback", "rollback-failed")]


def count_host_fault(context: Context, reason: str) -> None:
    """Remember one more host fault, which lengthens the wait before the next try."""
    memory = context.ports.store.memory(context.app)
    faults = backoff.after_fault(memory.host_faults, reason, context.ports.clock.now())
    context.ports.store.put_memory(memory.model_copy(update={"host_faults": faults}))


def busy(context: Context, why: str) -> Report:
    """Somebody else works on the app."""
    result = "in-use" if context.spec.kind is Kind.CANONICAL else "busy"
    return _plain(context, Status.UNKNOWN, result, (why,), ok=True)


def unknown(context: Context, exc: ReconcilerError) -> Report:
    """The world could not be looked at: nothing is done on it."""
    return _plain(context, Status.UNKNOWN, "unknown", (str(exc),), ok=False)


def broken(context: Context, exc: Exception) -> Report:
    """Something could not be done and stopped this app's pass; a journal, if open, stays for the next."""
    alert = _alert(
        context, "error", Severity.CRITICAL, key=type(exc).__name__, evidence=[str(exc)],
        clears_when="the next pass gets through", origin=None, target=None,
    )  # fmt: skip
    context.ports.alerts.raise_(alert)
    return _plain(context, Status.UNKNOWN, "error", (str(exc),), ok=False)


def unreadable(context: Context, exc: StateError) -> Report:
    """One of our records is not to be trusted: hold the app, alert, touch nothing."""
    alert = _alert(
        context, "state", Severity.CRITICAL, key=exc.path, evidence=[str(exc)],
        clears_when="the file is repaired or removed by a human; a copy lies beside it", origin=None, target=None,
    )  # fmt: skip
    context.ports.alerts.raise_(alert)
    return _plain(context, Status.UNKNOWN, "held-state", (str(exc),), ok=False)


def _plain(context: Context, status: Status, result: str, evidence: tuple[str, ...], *, ok: bool) -> Report:
    entry = AppStatus(
        app=context.app, kind=context.spec.kind, status=status, result=result, evidence=evidence,
        at=context.ports.clock.now(),
    )  # fmt: skip
    return Report(outcome=Outcome(app=context.app, result=result, ok=ok, evidence=evidence), status=entry)
