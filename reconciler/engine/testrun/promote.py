"""A green run becomes the canonical: fresh, on its own domain, verified, snapshotted. Effects: its stack and records.

A crash at any step leaves the old canonical or the new one whole: the exchange of the snapshot decides, and
`promotion.json` tells the next process that looks (`data.recover`).
"""

from dataclasses import replace

from reconciler.core.canonical import promotion
from reconciler.core.conditions import PromotionFailed
from reconciler.core.testrun import base
from reconciler.core.testrun import spec as testrun_spec
from reconciler.engine.canonical import data
from reconciler.engine.change import unjournaled
from reconciler.engine.clocks import LimitedClock, unstoppable
from reconciler.engine.context import Context, failed
from reconciler.engine.release import build
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.engine.testrun import variables
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.session import RunSession
from reconciler.model.canonical import Canonical, Green, Promotion
from reconciler.model.errors import ActError, Interrupted, ReconcilerError
from reconciler.model.journal import Failure, Step
from reconciler.model.release import Bundle
from reconciler.model.testrun import Run
from reconciler.state.locks import HeldLock, wait_until_free

_POLL_S = 0.2


def record_green(session: RunSession) -> None:
    """Remember what passed in full: the next upgrade test starts there, and live apps may wait for it.

    A branch that is not merged is no base for other branches.
    """
    run, spec = session.report.run, session.plan.request.spec
    main = session.environment.refs.main(spec.recipe.url)
    on_main = main is not None and main[1] == run.head.commit
    if not set(run.asked) >= set(session.plan.tests.stages) or not (run.head.kind == "release" or on_main):
        return
    green = Green(
        version=run.head.version,
        commit=run.head.commit,
        kind=run.head.kind,
        run=run.run,
        at=session.environment.ports.clock.now(),
    )
    session.environment.ports.canonicals.change_greens(spec.recipe.url, lambda greens: base.remember(greens, green))


def withdraw_red(environment: RunEnvironment, plan: testrun_plan.RunPlan, run: Run) -> None:
    """Take back that a release was green, if it is not any more."""
    if promotion.withdraws(run, plan.tests.stages):
        url, version = plan.request.spec.recipe.url, run.head.version
        environment.ports.canonicals.change_greens(url, lambda greens: base.withdraw(greens, version))


def promote_if_due(session: RunSession) -> None:
    """Promote the run if it may be; the report says what came of it.

    Raises:
        Interrupted: asked to stop; the canonical is whole, the old one or the new one.
    """
    spec = session.plan.request.spec
    newest = testrun_plan.latest(session.environment.ports, spec)  # it may have been published while we tested
    refusal = promotion.find_refusal(session.report.run, spec, newest, session.plan.tests.stages)
    if refusal is not None:
        session.report.tell(promotion=refusal)
        return
    ports = session.environment.ports
    # Its own domain and stack, not the run's, which is gone by now; a realm's name is data like any other.
    own = session.report.run.model_copy(update={"domain": spec.domain, "stack": spec.stack_name})
    env = variables.for_deploys(session.plan, own, session.lease)
    context = Context(
        ports=replace(
            ports, store=session.handle.store, clock=LimitedClock.of(ports.clock, session.plan.tests.deadline)
        ),
        settings=session.environment.settings,
        spec=testrun_spec.for_canonical(spec, env),
        actor=f"run {session.report.run.run}",
    )
    held = None
    try:
        held = _await_lock(session, context)
        failure = _promote(session, context)
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        failure = failed(Step.COMMIT, str(exc), host=True)
    finally:
        if held is not None:
            held.release()
    _tell(session, failure)


def _await_lock(session: RunSession, context: Context) -> HeldLock:
    """Wait a moment: a pass holds it for an instant only."""
    ports, what = context.ports, f"ci-warm run {session.report.run.run}: promotion"
    patience = context.settings.limits.quiesce
    return wait_until_free(ports.clock, patience, _POLL_S, lambda: ports.locks.acquire(context.app, what))


def _promote(session: RunSession, context: Context) -> Failure | None:
    ports, canonicals = context.ports, context.ports.canonicals
    taken = data.find_user(context) or data.find_move(context)
    if taken is not None:
        raise ActError(taken)
    # What a dead run left is cleaned up first, also if we are asked to stop: half of it would be worse than
    # none.
    data.recover(replace(context, ports=unstoppable(ports)))
    old = canonicals.canonical(context.app)
    if old is None:
        known = session.environment.ports.store.known_good(context.app)
        foreign = promotion.find_unexplained(data.list_volumes(context), known.release.version if known else None)
        if foreign is not None:
            raise ActError(foreign)
    # Before the volumes are touched: a crash from here on is found by the mark, and the old snapshot is put
    # back.
    data.mark_in_use(context, session.report.run.run)
    try:
        failure = _replace(session, context, old)
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        failure = failed(Step.COMMIT, str(exc), host=True)
    finally:
        # Whatever happened: idle and whole, the old one or the new one, also when we are asked to stop.
        safe = replace(context, ports=unstoppable(ports))
        left = data.recover(safe)
        data.keep_images(safe, canonicals.canonical(context.app))
    now = canonicals.canonical(context.app)
    # The exchange of the snapshot decides, not the error that came after it: `data.recover` above has
    # finished it.
    if failure is not None and now is not None and (now.snapshot or "").endswith(session.report.run.run):
        session.report.note(f"promoted all the same: {failure.step}: {failure.reason}")
        failure = None
    if left and failure is None:
        failure = failed(Step.BACK_RESTORE, "the canonical is not whole again", *left, host=True)
    return failure


def _replace(session: RunSession, context: Context, old: Canonical | None) -> Failure | None:
    failure = data.undeploy(context, old)
    if failure is not None:
        return failure
    data.remove_volumes(context)
    context.ports.effect("promote:emptied")
    bundle = build.build_bundle(
        context, session.plan.head, session.plan.head_extras, session.report.run.run, head=False
    )
    # Old and new together, until it is decided which of them is the canonical.
    data.keep_images(context, old, list(bundle.images.values()))
    # Deployed once to be sure, then taken down: the snapshot must hold what a first start on its own domain
    # wrote.
    failure = unjournaled.deploy(context, bundle)
    if failure is not None:
        return failure
    failure, killed = unjournaled.undeploy_for_snapshot(context, bundle)
    if failure is not None:
        return failure
    if killed:
        session.report.note(f"{', '.join(killed)} did not end within the grace and was killed before the snapshot")
    return _take_snapshot(session, context, bundle, killed)


def _take_snapshot(session: RunSession, context: Context, bundle: Bundle, killed: tuple[str, ...]) -> Failure | None:
    ports, canonicals = context.ports, context.ports.canonicals
    name = f"{ports.clock.now():%Y%m%dT%H%M%SZ}-{context.app}-{session.report.run.run}"
    volumes = tuple(sorted(ports.engine.observe_volumes(list(bundle.volumes.values()))))
    new = Canonical(
        app=context.app,
        recipe=context.spec.recipe.url,
        stack=context.stack,
        version=bundle.version,
        commit=bundle.commit,
        images=bundle.images,
        volumes=volumes,
        snapshot=name if context.spec.stateful and volumes else None,
        ts=ports.clock.now(),
    )
    if new.snapshot is not None:
        # The whole record of the candidate: the process that finds it after a crash can finish without asking
        # anything.
        canonicals.put_promotion(Promotion(app=context.app, run=session.report.run.run, candidate=new))
        ports.effect("promote:intended")
        failure = unjournaled.snapshot(context, bundle, name, killed)
        if failure is not None:
            return failure  # whether the exchange came about is for `data.recover` to see
        ports.node.snapshots.remember(context.app, list(ports.engine.observe_volumes(volumes).values()))
        ports.effect("promote:saved")
    # The order of these four is the recovery's: record, then the marks that say it is not whole, the mark of
    # use first.
    canonicals.put_canonical(new)
    ports.effect("promote:recorded")
    canonicals.end_use(context.app)
    canonicals.end_promotion(context.app)
    canonicals.end_in_flight(context.app)
    ports.effect("promote:done")
    return None


def _tell(session: RunSession, failure: Failure | None) -> None:
    spec, alerts, now = (
        session.plan.request.spec,
        session.environment.ports.alerts,
        session.environment.ports.clock.now(),
    )
    if failure is None:
        session.report.tell(promoted=True, promotion=f"{session.report.run.head.version} is the canonical now")
        alerts.resolve(spec.app, [], reason=PromotionFailed.REASON)
        return
    session.report.tell(promotion=f"{failure.step}: {failure.reason}")
    evidence = (f"{failure.step}: {failure.reason}", *failure.evidence)
    alerts.raise_(PromotionFailed(app=spec.app).alert(now, evidence, target=session.report.run.head.version))
