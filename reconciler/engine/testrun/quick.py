"""A quick run: known-good on its data, upgraded in place to a head; the canonical is as before, whatever comes of it.

Effects: the canonical's stack and volumes, under its lock. Never `canonical.json`, never the snapshot.
"""

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core.testrun import spec as testrun_spec
from reconciler.core.testrun.base import Base
from reconciler.engine.canonical import data
from reconciler.engine.clocks import unstoppable
from reconciler.engine.context import Context
from reconciler.engine.release.render import Extras, test_overlays
from reconciler.engine.testrun import cold, lifecycle, stages
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.plan import RunPlan
from reconciler.engine.testrun.session import Ended, RunSession, Skip
from reconciler.model.canonical import Canonical
from reconciler.model.errors import ActError, LockBusy
from reconciler.model.journal import Failure
from reconciler.model.settling import Fault
from reconciler.model.testrun import Run, RunMode, RunResult, Source
from reconciler.model.tests import Stage

STAGES = (Stage.INSTALL, Stage.UPGRADE, Stage.CUSTOM)


def run(environment: RunEnvironment, plan: RunPlan) -> Run:
    """Test a head on the canonical's data. Without a canonical it is a cold run, and says so.

    Raises:
        LockBusy, ActError, Interrupted: as a cold run; LockBusy also while the canonical is in use.
    """
    spec = plan.request.spec
    # The place first, then the app: a test that waits for a place must not hold an app that a pass wants.
    slot = environment.ports.locks.slot(environment.settings.runs.max_tests, f"ci-warm quick {spec.name}")
    try:
        held = environment.ports.locks.acquire(spec.app, f"ci-warm quick {spec.name}")
        try:
            context = Context(ports=environment.ports, settings=environment.settings, spec=spec, actor="quick")
            canonical = _find_usable(context)
            if isinstance(canonical, Canonical):
                testrun_plan.check_room(environment, spec)
                planned = _plan_quick(plan, canonical)
                if planned.base.source is not None:
                    testrun_plan.check_signature(environment, spec, planned.base.source)
                return lifecycle.run(
                    environment,
                    planned,
                    lambda session: _play(session, canonical),
                    _clean,
                    lambda _: None,
                )
        finally:
            # Before the cold run below, which seeds the canonical and takes this lock itself.
            held.release()
    finally:
        slot.release()
    why = f"asked for as a quick run; {canonical}: a full cold run instead"
    environment.ports.progress(spec.name, why)
    full = testrun_plan.plan_run(environment, replace(plan.request, mode=RunMode.COLD))
    return cold.run(environment, replace(full, notes=(*full.notes, why)))


def _find_usable(context: Context) -> Canonical | str:
    """The canonical, idle and whole; or why there is none, in words."""
    taken, elsewhere = data.find_user(context), data.find_move(context)
    if taken is not None:
        raise LockBusy(context.app, taken, f"{context.app}: {taken}")
    if elsewhere is not None:
        raise ActError(f"{elsewhere}; set stack: in the spec", permanent=True)
    # A promotion may have died between its two renames; which canonical stands is decided before it is lent.
    data.finish_promotion(context)
    canonical = context.ports.canonicals.canonical(context.app)
    if canonical is None:
        return "there is no canonical yet"
    if data.has_lost_its_snapshot(context, canonical):
        return "the canonical's snapshot is not there"
    return canonical


def _plan_quick(plan: RunPlan, canonical: Canonical) -> RunPlan:
    """From known-good to the head, whatever else was planned."""
    known = Source(version=canonical.version, commit=canonical.commit, kind="release", name="known-good")
    return replace(plan, stages=STAGES, base=Base(source=known, reason="known-good of the canonical"))


def _play(session: RunSession, canonical: Canonical) -> None:
    session.report.tell(deploys_expected=1, promotion="a quick run never promotes")
    session.run_stage(Stage.INSTALL, lambda: _deploy_known_good(session, canonical))
    session.run_stage(Stage.UPGRADE, lambda: _upgrade(session, canonical))
    session.run_stage(Stage.CUSTOM, lambda: stages.custom(session))


def _upgrade(session: RunSession, canonical: Canonical) -> Ended:
    if session.report.run.head.commit == canonical.commit:
        return Skip(reason="the head is known-good itself")
    return stages.upgrade(session)


def _deploy_known_good(session: RunSession, canonical: Canonical) -> Ended:
    """The snapshot's data under the snapshot's version, by the images on record."""
    failure = data.undeploy(session.context, canonical)
    if failure is not None:
        return failure
    restored = data.borrow(session.context, canonical, session.report.run.run)
    if isinstance(restored, Failure):
        return restored
    if restored:
        session.report.note("the canonical's data was put back to its snapshot first")
    source = session.plan.base.source
    if source is None:
        raise ActError("a quick run without known-good", host_fault=True)
    # In the surroundings that it was promoted in.
    plan = session.plan
    own = test_overlays(session.ports, plan.request.spec, plan.tests, source.commit)
    ended = session.deployer.deploy(source, Extras(overlays=own), head=False, known=canonical.images)
    # What was good when it was promoted and no longer comes up says nothing about the head.
    if not isinstance(ended, Failure):
        return ended
    return ended.model_copy(update={"fault": Fault.HOST, "reason": f"known-good does not come up: {ended.reason}"})


def _clean(session: RunSession) -> Sequence[str]:
    """Undeploy, keep the volume if it passed; else the data goes back and the broken image is not left running."""
    context = replace(session.context, ports=unstoppable(session.ports))
    # Without the run's variables: a realm that is gone must not be rendered into anything of the canonical's.
    plain = replace(context, spec=testrun_spec.for_canonical(session.plan.request.spec, {}))
    canonical = context.ports.canonicals.canonical(context.app)
    failure = data.undeploy(plain, canonical)
    if failure is None and session.report.run.result is not RunResult.GREEN and canonical is not None:
        failure = data.restore(plain, canonical)
    data.keep_images(plain, canonical)
    return (f"{failure.step}: {failure.reason}",) if failure is not None else ()
