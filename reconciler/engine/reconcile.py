"""One app's pass: lock, observe, assess, plan, gate, act, record. Effects: through the ports, in that order.

What to do is decided in `core`; here is only the order, and what happens when the world cannot be seen.
"""

import secrets
from dataclasses import dataclass

from reconciler.core import gate, plan, verdicts
from reconciler.engine import candidate as candidates
from reconciler.engine import execute, observe, prepare, report
from reconciler.engine.context import Context
from reconciler.engine.observe import Facts
from reconciler.model.action import Action, Adopt, Deploy, Heal, Nothing, Outcome, Plan, Resume, RollBack, Upgrade
from reconciler.model.errors import LockBusy, ObserveError, StateError
from reconciler.model.observed import World
from reconciler.model.records import Change, Failure, Fallback, Journal, KnownGood, Release, Step
from reconciler.model.status import Assessment, Status
from reconciler.model.verdict import Hold, HoldReason


@dataclass(frozen=True, kw_only=True)
class Considered:
    """An app looked at and planned for, nothing done yet. `studied` None: nothing that the gate guards."""

    facts: Facts
    assessment: Assessment
    plan: Plan
    studied: candidates.Studied | None = None


def consider(context: Context, world: World, fetch_problem: str | None = None) -> Considered:
    """Observe, assess, plan and gate one app. Reads only, but for first-seen tags.

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    facts = observe.gather(context, world, fetch_problem)
    assessment, facts = observe.assessed(context, facts)
    situation = plan.Situation(
        spec=context.spec, assessment=assessment, known=facts.known, journal=facts.journal,
        candidate=facts.choice.candidate, running=facts.running,
        healthy=facts.answer is None or facts.answer.ok, data_without_record=bool(facts.data_without_record),
    )  # fmt: skip
    action = plan.choose(situation, context.ports.clock.now())
    wanted = plan.upgrades_despite_failure(situation)
    if wanted is not None and isinstance(action, Nothing):
        studied, holds = _gate(context, facts, assessment, wanted)
        if not holds:
            action = wanted
        chosen = Plan(action=action, holds=(), steps=plan.steps_of(action, context.spec))
        return Considered(facts=facts, assessment=assessment, plan=chosen, studied=studied)
    if not plan.gated(action):
        chosen = Plan(action=action, steps=plan.steps_of(action, context.spec))
        return Considered(facts=facts, assessment=assessment, plan=chosen)
    studied, holds = _gate(context, facts, assessment, action)
    chosen = Plan(action=action, holds=holds, steps=plan.steps_of(action, context.spec))
    return Considered(facts=facts, assessment=assessment, plan=chosen, studied=studied)


def _gate(
    context: Context, facts: Facts, assessment: Assessment, action: Action
) -> tuple[candidates.Studied, tuple[Hold, ...]]:
    studied = candidates.study(context, facts, assessment, action)
    patterns = context.settings.notes_patterns
    return studied, gate.decide(context.spec, facts.memory, studied.candidate, patterns, context.ports.clock.now())


def reconcile(
    context: Context, world: World, *, fetch_problem: str | None = None, train: str | None = None
) -> report.Report:
    """Do the one next safe thing for an app. `train`: the app whose rollback stops upgrades in this pass.

    Raises:
        Interrupted: asked to stop; a journal may stay for the next start.
    """
    ports = context.ports
    try:
        held = ports.locks.acquire(context.app, f"ci-warm {context.actor}")
    except LockBusy as exc:
        return report.busy(context, str(exc))
    try:
        considered = consider(context, world, fetch_problem)
        outcome = _act(context, considered, train)
        return report.finished(context, considered.facts, considered.assessment, outcome, considered.studied)
    except StateError as exc:
        return report.unreadable(context, exc)
    except ObserveError as exc:
        return report.unknown(context, exc)
    finally:
        held.release()


def _act(context: Context, considered: Considered, train: str | None) -> Outcome:
    action, facts = considered.plan.action, considered.facts
    match action:
        case Nothing(result=result, ok=ok):
            evidence = (considered.assessment.reason, *considered.assessment.evidence)
            return Outcome(app=context.app, result=result, ok=ok, evidence=evidence)
        case Resume():
            if facts.journal is None:
                raise AssertionError("resuming without a journal")
            return execute.resume(context, facts.journal)
        case Adopt(version=version):
            return _adopt(context, facts, version)
        case Heal(drift=drift):
            return _redeploy(context, facts, "; ".join(drift))
        case Deploy(known_good=True):
            return _redeploy(context, facts, verdicts.ABSENT)
        case RollBack(reason=reason):
            return roll_back(context, facts, reason)
        case Upgrade() | Deploy():
            return _take(context, considered, train)


def _take(context: Context, considered: Considered, train: str | None) -> Outcome:
    """Take a release, if the gate is open and everything harmless went well."""
    facts, studied, action = considered.facts, considered.studied, considered.plan.action
    if studied is None or not isinstance(action, Upgrade | Deploy):
        raise AssertionError("the gate was not asked")
    holds = considered.plan.holds
    if not holds and train is not None and isinstance(action, Upgrade):
        holds = (plan.train_hold(train),)
    if not holds:
        prepared = prepare.prepare(context, facts, studied)
        if isinstance(prepared, Hold):
            if prepared.reason is HoldReason.HOST:
                report.count_host_fault(context, prepared.detail)
            holds = (prepared,)
        else:
            return execute.begin(context, _journal_of_release(context, facts, action, prepared))
    origin = facts.known.release.version if facts.known else None
    result = plan.held_result(holds, origin, action.target)
    return Outcome(app=context.app, result=result, holds=holds, evidence=tuple(hold.detail for hold in holds))


def _journal_of_release(
    context: Context, facts: Facts, action: Upgrade | Deploy, prepared: prepare.Prepared
) -> Journal:
    known, bundle = facts.known, prepared.bundle
    origin = known.release if known and isinstance(action, Upgrade) else None
    volumes = set(bundle.volumes.values())
    if origin is not None:
        volumes |= set(context.ports.store.bundle(context.app, origin.bundle).volumes.values())
    return _journal(
        context, Change.UPGRADE if isinstance(action, Upgrade) else Change.DEPLOY, origin=origin,
        target=prepared.release, desired=facts.desired, origin_desired=known.desired if known else "",
        volumes=tuple(sorted(volumes)), snapshot_first=isinstance(action, Deploy) and action.snapshot_first,
    )  # fmt: skip


def _journal(context: Context, change: Change, **fields: object) -> Journal:
    now = context.ports.clock.now()
    base = Journal(
        op_id=f"{now:%Y%m%dT%H%M%SZ}-{context.app}-{secrets.token_hex(3)}", app=context.app, stack=context.stack,
        kind=change, stateful=context.spec.stateful, target=Release(version="", commit="", bundle=""), desired="",
        started_at=now, actor=context.actor,
    )  # fmt: skip
    return base.model_copy(update=fields)


def _redeploy(context: Context, facts: Facts, reason: str) -> Outcome:
    """Bring known-good back as it was; data untouched."""
    known = facts.known
    if known is None:
        raise AssertionError("nothing to redeploy")
    bundle = context.ports.store.bundle(context.app, known.release.bundle)
    return execute.begin(
        context,
        _journal(
            context, Change.HEAL, target=known.release, desired=known.desired, reason=reason,
            volumes=tuple(sorted(bundle.volumes.values())),
        ),
    )  # fmt: skip


def roll_back(context: Context, facts: Facts, reason: str) -> Outcome:
    """Go back to the fallback with its data.

    Raises:
        StateError: there is no fallback, or a record of it is unreadable.
    """
    known = facts.known
    if known is None or known.fallback is None:
        raise StateError(f"{context.app}/known_good.json", "has no fallback to roll back to")
    back: Fallback = known.fallback
    bundles = [context.ports.store.bundle(context.app, r.bundle) for r in (known.release, back.release)]
    volumes = {volume for bundle in bundles for volume in bundle.volumes.values()}
    return execute.begin(
        context,
        _journal(
            context, Change.ROLLBACK, origin=back.release, target=known.release, desired=known.desired,
            origin_desired=back.desired, volumes=tuple(sorted(volumes)), snapshot=back.snapshot, reason=reason,
            failure=Failure(step=Step.VERIFY, reason=reason[:500]),
        ),
    )  # fmt: skip


def _adopt(context: Context, facts: Facts, version: str) -> Outcome:
    """Record what runs and answers as known-good, if its release can be rendered to just these images."""
    commit = facts.tags.annotated.get(version, "")
    studied = candidates.study(
        context, facts, Assessment(status=Status.UNMANAGED, reason=""), Upgrade(origin=version, target=version)
    )
    if studied.rendered is None or not commit:
        why = studied.candidate.problem or "its tag is gone"
        return Outcome(app=context.app, result=f"unmanaged:{version}", ok=False, evidence=(why,))
    prepared = prepare.prepare(context, facts, studied)
    if isinstance(prepared, Hold):
        return Outcome(app=context.app, result=f"unmanaged:{version}", ok=False, holds=(prepared,))
    services = {service.name: service.spec_fingerprint for service in facts.stack.services}
    context.ports.store.put_known_good(
        KnownGood(
            app=context.app, release=prepared.release, services=services, desired=facts.desired,
            at=context.ports.clock.now(),
        )
    )  # fmt: skip
    return Outcome(app=context.app, result=f"adopted:{version}", changed=True)
