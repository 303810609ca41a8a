"""What a live app's plan says, done. Effects: through the ports; callers hold the app's lock.

What to do is decided in `core`; here is only the order, and what happens when the world cannot be seen.
"""

import secrets
from collections.abc import Callable, Sequence

from reconciler.core.change import outcome as change_outcome
from reconciler.core.live import plan
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release import render
from reconciler.core.release.facts import AppFacts
from reconciler.engine.change import driver, last_words
from reconciler.engine.change.stamp import stamp
from reconciler.engine.context import Context
from reconciler.engine.live import report
from reconciler.engine.live.plan import PlannedApp, plan_app
from reconciler.engine.live.preflight import collect_upgrade_facts
from reconciler.engine.live.prepare import copy_ahead, stage_release
from reconciler.engine.live.way_back import find_way_back_problems
from reconciler.engine.release import images
from reconciler.model.action import Adopt, Deploy, Heal, Nothing, Outcome, Resume, RollBack, Upgrade
from reconciler.model.errors import LockBusy
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.release import Bundle, Fallback, KnownGood, Release
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.status import Assessment, Status


def _in_turn(context: Context, work: Callable[[], Outcome]) -> Outcome:
    """One process at a time takes a new release; one that is not first comes again in the next pass.

    What heals, goes on or goes back never waits for the release of another app, which may take many minutes.
    """
    try:
        turn = context.ports.locks.turn("upgrade", f"ci-warm {context.actor}: {context.app}")
    except LockBusy as exc:
        return Outcome(app=context.app, result=Result(kind=ResultKind.BUSY), evidence=(str(exc),))
    try:
        return work()
    finally:
        turn.release()


def act(context: Context, planned: PlannedApp, train: str | None) -> Outcome:
    """Do the planned next thing. `train`: the app whose rollback stops upgrades in this pass.

    Raises:
        StateError, ObserveError, ActError: it could not be done or known.
        Interrupted: asked to stop; a journal may stay for the next start.
    """
    action, facts = planned.plan.action, planned.facts
    _end_watch(context, planned)
    if isinstance(action, Nothing):
        evidence = (*action.evidence, planned.assessment.reason, *planned.assessment.evidence)
        return Outcome(app=context.app, result=action.result, ok=action.ok, evidence=evidence)
    if planned.plan.holds:
        target = action.target if plan.is_gated(action) and isinstance(action, Upgrade | Deploy) else ""
        return _report_hold(context, facts, planned.plan.holds, target)
    # Without them a change would stop half way, with the app down, and its release would be blamed.
    context.ports.engine.check_tools()
    match action:
        case Resume():
            if facts.journal is None:
                raise AssertionError("resuming without a journal")
            journal = facts.journal
            return driver.resume(context, journal)
        case Adopt(version=version):
            return _adopt(context, facts, version)
        case Heal(drift=drift):
            return _redeploy(context, facts, "; ".join(drift))
        case Deploy(known_good=True):
            return _redeploy(context, facts, change_outcome.ABSENT)
        case RollBack(reason=reason):
            return roll_back(context, facts, reason, planned.assessment.evidence)
        case Upgrade() | Deploy():
            return _take(context, planned, train)


def _end_watch(context: Context, planned: PlannedApp) -> None:
    """Write down that the bake watch is over, once a pass after its end saw the app well."""
    known, now = planned.facts.known, context.ports.clock.now()
    if known is None or known.baked or now < known.ends_watch(context.spec.upgrade.bake):
        return
    # Not for one that is only starting: a loop looks like that between two of its failures.
    if planned.assessment.status in (Status.IN_SYNC, Status.OUT_OF_SYNC):
        context.ports.store.put_known_good(known.model_copy(update={"baked": True}))


def _take(context: Context, planned: PlannedApp, train: str | None) -> Outcome:
    """Take a release, if the gate is open and everything harmless went well."""
    facts, upgrade, action = planned.facts, planned.upgrade, planned.plan.action
    if upgrade is None or not isinstance(action, Upgrade | Deploy):
        raise AssertionError("the gate was not asked")
    if train is not None and isinstance(action, Upgrade):
        return _report_hold(context, facts, (plan.train_hold(train),), action.target)
    return _in_turn(context, lambda: _prepare_and_begin(context, facts, action, upgrade))


def _report_hold(context: Context, facts: AppFacts, holds: tuple[Hold, ...], target: str) -> Outcome:
    result = held(holds[0].reason, facts.origin, target)
    return Outcome(app=context.app, result=result, holds=holds, evidence=tuple(hold.detail for hold in holds))


def _prepare_and_begin(context: Context, facts: AppFacts, action: Upgrade | Deploy, upgrade: UpgradeFacts) -> Outcome:
    """Everything harmless first; a hold if that did not work out, and then the app was not touched."""
    prepared = stage_release(context, facts, upgrade)
    if isinstance(prepared, Hold):
        if prepared.reason is HoldReason.HOST:
            report.count_host_fault(context, prepared.detail)
        return _report_hold(context, facts, (prepared,), action.target)
    journal = _journal_of_release(context, facts, action, prepared)
    try:
        if copy_ahead(context, journal):
            changed = _look_again(context, facts, action)
            if changed is not None:
                return changed
            # The change begins now; what went before it is not of its time.
            journal = _journal_of_release(context, facts, action, prepared)
        return driver.begin(context, journal)
    finally:
        context.ports.node.snapshots.drop_ahead(context.app)


def _look_again(context: Context, facts: AppFacts, action: Upgrade | Deploy) -> Outcome | None:
    """What became of the plan in the minutes that a copy took; None: it stands."""
    again = plan_app(context, context.ports.engine.look()).plan
    if again.holds:
        return _report_hold(context, facts, again.holds, action.target)
    if again.action != action:
        text = "what was planned is not due any more since its volumes were copied; the next pass decides anew"
        return Outcome(app=context.app, result=Result(kind=ResultKind.BUSY), evidence=(text,))
    return None


def _journal_of_release(context: Context, facts: AppFacts, action: Upgrade | Deploy, bundle: Bundle) -> Journal:
    known = facts.known
    origin = known.release if known and isinstance(action, Upgrade) else None
    volumes = set(bundle.volumes.values())
    if origin is not None:
        # Those of both releases: a restore must also empty what only the candidate has written to.
        volumes |= set(context.ports.store.bundle(context.app, origin.bundle).volumes.values())
    return _journal(
        context,
        Change.UPGRADE if isinstance(action, Upgrade) else Change.DEPLOY,
        origin=origin,
        target=bundle.release,
        desired=facts.desired,
        origin_desired=known.desired if known else "",
        volumes=tuple(sorted(volumes)),
        snapshot_first=isinstance(action, Deploy) and action.snapshot_first,
        found_data=isinstance(action, Deploy) and action.found_data,
    )


def _journal(context: Context, change: Change, **fields: object) -> Journal:
    now = context.ports.clock.now()
    base = Journal(
        op_id=f"{now:%Y%m%dT%H%M%SZ}-{context.app}-{secrets.token_hex(3)}",
        app=context.app,
        stack=context.stack,
        kind=change,
        stateful=context.spec.stateful,
        target=Release(version="", commit="", bundle=""),
        desired="",
        started_at=now,
        actor=context.actor,
        bake_s=context.spec.upgrade.bake,
    )
    return base.model_copy(update=fields)


def _redeploy(context: Context, facts: AppFacts, reason: str) -> Outcome:
    """Bring known-good back as it was; data untouched."""
    known = facts.known
    if known is None:
        raise AssertionError("nothing to redeploy")
    bundle = context.ports.store.bundle(context.app, known.release.bundle)
    return driver.begin(
        context,
        _journal(
            context,
            Change.HEAL,
            target=known.release,
            desired=known.desired,
            reason=reason,
            volumes=tuple(sorted(bundle.volumes.values())),
        ),
    )


def roll_back(context: Context, facts: AppFacts, reason: str, evidence: Sequence[str] = ()) -> Outcome:
    """Go back to the fallback with its data, if the way back is whole; else nothing is touched.

    Raises:
        StateError: a record of it is unreadable.
    """
    known, ports = facts.known, context.ports
    problems = find_way_back_problems(context, known, facts.stamps)
    if known is None or known.fallback is None or problems:
        version = known.release.version if known else "none"
        return Outcome(
            app=context.app,
            result=Result(kind=ResultKind.ROLLBACK_REFUSED, about=version),
            ok=False,
            evidence=tuple(problems),
        )
    back: Fallback = known.fallback
    images.pull_missing(context, images.lookup_release(context, back.release), " for the way back")
    bundles = [ports.store.bundle(context.app, release.bundle) for release in (known.release, back.release)]
    volumes = {volume for bundle in bundles for volume in bundle.volumes.values()}
    journal = _journal(
        context,
        Change.ROLLBACK,
        origin=back.release,
        target=known.release,
        desired=known.desired,
        origin_desired=back.desired,
        volumes=tuple(sorted(volumes)),
        snapshot=back.snapshot,
        reason=reason,
        stateful=back.snapshot is not None,
    )
    log, words = last_words.keep(ports, context.spec, journal)
    failure = Failure(step=Step.VERIFY, reason=reason[:500], evidence=(*evidence, *words))
    return driver.begin(context, journal.model_copy(update={"failure": failure, "log": log}))


def _adopt(context: Context, facts: AppFacts, version: str) -> Outcome:
    """Record what runs and answers as known-good, if it is just what its release would be here.

    If only the settings differ, no settings are recorded with it, so that a gated `reconfigured` follows.
    """
    unmanaged = Assessment(status=Status.UNMANAGED, reason="")
    upgrade = collect_upgrade_facts(context, facts, unmanaged, Upgrade(origin=version, target=version))
    result = Result(kind=ResultKind.UNMANAGED, about=version)
    if upgrade.rendered is None or upgrade.unsigned:
        return Outcome(app=context.app, result=result, ok=False, evidence=(upgrade.problem or upgrade.unsigned,))
    bundle = stage_release(context, facts, upgrade)
    if isinstance(bundle, Hold):
        return Outcome(app=context.app, result=result, ok=False, holds=(bundle,), evidence=(bundle.detail,))
    stack = facts.stack
    running = {service.name: service.image for service in stack.services}
    commits = {service.labels.get(render.LABEL_COMMIT, bundle.commit) for service in stack.services}
    if running != bundle.images or commits != {bundle.commit}:
        text = f"what runs ({running}) is not what {version} is now ({bundle.images})"
        return Outcome(app=context.app, result=result, ok=False, evidence=(text,))
    same = all(service.labels.get(render.LABEL_BUNDLE) == bundle.id for service in stack.services)
    names = list(bundle.volumes.values())
    stateful, op_id = context.spec.stateful, f"adopted-{context.ports.clock.now():%Y%m%dT%H%M%SZ}"
    stamp(context.ports, context.app, names, bundle.release, stateful=stateful, op_id=op_id)
    context.ports.store.put_known_good(
        KnownGood(
            app=context.app,
            stack=context.stack,
            release=bundle.release,
            services={service.name: service.spec_fingerprint for service in stack.services},
            desired=facts.desired if same else "",
            at=context.ports.clock.now(),
            baked=True,
        )
    )
    return Outcome(app=context.app, result=Result(kind=ResultKind.ADOPTED, about=version), changed=True)
