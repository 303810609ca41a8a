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
from reconciler.model.settling import Fault
from reconciler.model.testrun import Run
from reconciler.model.tests import Stage

_WORK = {
    Stage.INSTALL: stages.install,
    Stage.UPGRADE: stages.upgrade,
    Stage.BACKUP: stages.backup,
    Stage.RESTORE: stages.restore,
    Stage.CUSTOM: stages.custom,
}


def run(environment: RunEnvironment, plan: RunPlan) -> Run:
    """Test a recipe from nothing; a green full run at the latest release becomes the canonical.

    Raises:
        LockBusy: all places for tests are taken; nothing was begun.
        ActError: there is no room; nothing was begun.
        Interrupted: asked to stop; everything of the run was removed first.
    """
    spec = plan.request.spec
    # Held to the end of the promotion: two runs at once would share the room that was just checked.
    slot = environment.ports.locks.slot(environment.settings.runs.max_tests, f"ci-warm cold {spec.name}")
    try:
        testrun_plan.check_room(environment, spec)
        done = lifecycle.run(environment, plan, _play, _clean, _after)
        promote.withdraw_red(environment, plan, done)
        return done
    finally:
        slot.release()


def _play(session: RunSession) -> None:
    if Stage.INSTALL not in session.report.run.asked:
        _install_unasked(session)
    for stage in Stage:
        session.run_stage(stage, partial(_WORK[stage], session))


def _install_unasked(session: RunSession) -> None:
    """Later stages need something that stands, also when installing was not asked for."""
    session.report.note("install was not asked for: it is done without its checks and does not count")
    ended = stages.install(session)
    if isinstance(ended, Failure):
        if ended.fault is not Fault.APP:
            raise ActError(f"install: {ended.reason}", host_fault=True)
        raise RecipeError(f"install: {ended.reason}")


def _clean(session: RunSession) -> Sequence[str]:
    environment = session.environment
    patience = teardown.own_patience(environment.settings.runs)
    return teardown.remove_stack(unstoppable(environment.ports), session.report.run, environment.specs, patience)


def _after(session: RunSession) -> None:
    promote.record_green(session)
    promote.promote_if_due(session)
