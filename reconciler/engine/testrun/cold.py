"""A cold run: everything from nothing, on a stack of its own. Effects: through the frame and the stages."""

from collections.abc import Sequence
from functools import partial

from reconciler.engine.clocks import unstoppable
from reconciler.engine.testrun import lifecycle, promote, stages, teardown
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.plan import RunPlan
from reconciler.engine.testrun.session import RunSession
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.journal import Failure
from reconciler.model.testrun import Run
from reconciler.model.tests import Stage

_WORK = {
    Stage.INSTALL: stages.install,
    Stage.UPGRADE: stages.upgrade,
    Stage.BACKUP: stages.backup,
    Stage.RESTORE: stages.restore,
    Stage.CUSTOM: stages.custom,
}


def run(site: RunEnvironment, plan: RunPlan) -> Run:
    """Test a recipe from nothing; a green full run at the latest release becomes the canonical.

    Raises:
        LockBusy: all places for tests are taken; nothing was begun.
        ActError: there is no room; nothing was begun.
        Interrupted: asked to stop; everything of the run was removed first.
    """
    spec = plan.request.spec
    slot = site.ports.locks.slot(site.settings.runs.max_tests, f"ci-warm cold {spec.name}")
    try:
        testrun_plan.check_room(site, spec)
        done = lifecycle.run(site, plan, _play, _clean, _after)
        promote.withdraw_red(site, plan, done)
        return done
    finally:
        slot.release()


def _play(run: RunSession) -> None:
    if Stage.INSTALL not in run.run.asked:
        _unasked_install(run)
    for stage in Stage:
        run.stage(stage, partial(_WORK[stage], run))


def _unasked_install(run: RunSession) -> None:
    """Later stages need something that stands, also when nobody wants to hear of installing."""
    run.note("install was not asked for: it is done without its checks and does not count")
    ended = stages.install(run)
    if isinstance(ended, Failure):
        if ended.fault == "host":
            raise ActError(f"install: {ended.reason}", host_fault=True)
        raise RecipeError(f"install: {ended.reason}")


def _clean(run: RunSession) -> Sequence[str]:
    return teardown.stack(unstoppable(run.site.ports), run.run, run.site.specs)


def _after(run: RunSession) -> None:
    promote.record_green(run)
    promote.promote_if_due(run)
