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
from reconciler.model.testrun import Run, RunMode, RunResult, Source
from reconciler.model.tests import Stage

STAGES = (Stage.INSTALL, Stage.UPGRADE, Stage.CUSTOM)


def run(site: RunEnvironment, plan: RunPlan) -> Run:
    """Test a head on the canonical's data. Without a canonical it is a cold run, and says so.

    Raises:
        LockBusy, ActError, Interrupted: as a cold run; LockBusy also while the canonical is in use.
    """
    spec = plan.request.spec
    slot = site.ports.locks.slot(site.settings.runs.max_tests, f"ci-warm quick {spec.name}")
    try:
        held = site.ports.locks.acquire(spec.app, f"ci-warm quick {spec.name}")
        try:
            context = Context(ports=site.ports, settings=site.settings, spec=spec, actor="quick")
            canonical = _usable(context)
            if isinstance(canonical, Canonical):
                testrun_plan.check_room(site, spec)
                return lifecycle.run(
                    site, _quick(plan, canonical), lambda course: _play(course, canonical), _clean, lambda _: None
                )
        finally:
            held.release()
    finally:
        slot.release()
    why = f"asked for as a quick run; {canonical}: a full cold run instead"
    site.ports.progress(spec.name, why)
    full = testrun_plan.plan_run(site, replace(plan.request, mode=RunMode.COLD))
    return cold.run(site, replace(full, notes=(*full.notes, why)))


def _usable(context: Context) -> Canonical | str:
    """The canonical, idle and whole; or why there is none, in words."""
    taken, elsewhere = data.in_use(context), data.moved(context)
    if taken is not None:
        raise LockBusy(context.app, taken, f"{context.app}: {taken}")
    if elsewhere is not None:
        raise ActError(f"{elsewhere}; set stack: in the spec", permanent=True)
    data.finish_promotion(context)
    canonical = context.ports.canonicals.canonical(context.app)
    if canonical is None:
        return "there is no canonical yet"
    if data.has_lost_its_snapshot(context, canonical):
        return "the canonical's snapshot is not there"
    return canonical


def _quick(plan: RunPlan, canonical: Canonical) -> RunPlan:
    """From known-good to the head, whatever else was planned."""
    known = Source(version=canonical.version, commit=canonical.commit, kind="release", name="known-good")
    return replace(plan, stages=STAGES, base=Base(source=known, reason="known-good of the canonical"))


def _play(course: RunSession, canonical: Canonical) -> None:
    course.tell(deploys_expected=1, promotion="a quick run never promotes")
    course.stage(Stage.INSTALL, lambda: _known_good(course, canonical))
    course.stage(Stage.UPGRADE, lambda: _upgrade(course, canonical))
    course.stage(Stage.CUSTOM, lambda: stages.custom(course))


def _upgrade(course: RunSession, canonical: Canonical) -> Ended:
    if course.run.head.commit == canonical.commit:
        return Skip(reason="the head is known-good itself")
    return stages.upgrade(course)


def _known_good(course: RunSession, canonical: Canonical) -> Ended:
    """The snapshot's data under the snapshot's version, by the images on record."""
    failure = data.idle(course.context, canonical)
    if failure is not None:
        return failure
    restored = data.take(course.context, canonical, course.run.run)
    if isinstance(restored, Failure):
        return restored
    if restored:
        course.note("the canonical's data was put back to its snapshot first")
    source = course.plan.base.source
    if source is None:
        raise ActError("a quick run without known-good", host_fault=True)
    # In the surroundings that it was promoted in.
    plan = course.plan
    own = test_overlays(course.context.ports, plan.request.spec, plan.trial, source.commit)
    ended = course.bring(source, Extras(overlays=own), head=False, known=canonical.images)
    # What was good when it was promoted and no longer comes up says nothing about the head.
    if not isinstance(ended, Failure):
        return ended
    return ended.model_copy(update={"fault": "host", "reason": f"known-good does not come up: {ended.reason}"})


def _clean(course: RunSession) -> Sequence[str]:
    """Undeploy, keep the volume if it passed; else the data goes back and the broken image is not left running."""
    context = replace(course.context, ports=unstoppable(course.context.ports))
    plain = replace(context, spec=testrun_spec.for_canonical(course.plan.request.spec, {}))
    canonical = context.ports.canonicals.canonical(context.app)
    failure = data.idle(plain, canonical)
    if failure is None and course.run.result is not RunResult.GREEN and canonical is not None:
        failure = data.restore(plain, canonical)
    data.keep_images(plain, canonical)
    return (f"{failure.step}: {failure.reason}",) if failure is not None else ()
