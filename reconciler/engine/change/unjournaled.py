"""One stack of a test: up, down, saved, put back, with the steps that live apps use. Effects: as those steps.

Nothing is journaled: what a run made is torn down, and a canonical has its own marks (`warm`).
"""

from reconciler.engine.change import driver
from reconciler.engine.context import Context, Done, Work, failed
from reconciler.model.errors import ActError, ObserveError, StateError
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.release import Bundle


def deploy(context: Context, bundle: Bundle) -> Failure | None:
    """Deploy, settle, verify; None: it stands and answers. In place, if an older release stands already."""
    context.ports.store.put_bundle(bundle)
    return _steps(context, _journal(context, bundle), Step.DEPLOY, Step.SETTLE, Step.VERIFY)


def undeploy(context: Context, bundle: Bundle) -> Failure | None:
    """Take the services down and wait until nothing can write; the data stays."""
    return _steps(context, _journal(context, bundle), Step.UNDEPLOY, Step.QUIESCE)


def verify(context: Context, bundle: Bundle) -> Failure | None:
    """Ask once more whether it is well."""
    return _steps(context, _journal(context, bundle), Step.VERIFY)


def snapshot(context: Context, bundle: Bundle, op_id: str) -> Failure | None:
    """Snapshot the volumes of what was taken down, read back and exchanged for the snapshot before."""
    return _steps(context, _journal(context, bundle, op_id=op_id), Step.SNAPSHOT)


def restore(context: Context, bundle: Bundle, snapshot: str, op_id: str) -> Failure | None:
    """Make the volumes equal the snapshot; those that it does not have are emptied."""
    wanted = _journal(context, bundle, op_id=op_id).model_copy(update={"snapshot": snapshot})
    failure = _steps(context, wanted, Step.BACK_RESTORE)
    if failure is None:
        names = sorted({*bundle.volumes.values()})
        found = context.ports.engine.observe_volumes(names)
        context.ports.snapshots.forget_aside([volume for volume in found.values() if volume.path])
        context.ports.snapshots.remember(context.app, list(found.values()))
    return failure


def _journal(context: Context, bundle: Bundle, op_id: str = "run") -> Journal:
    release = bundle.release
    return Journal(
        op_id=op_id,
        app=context.app,
        stack=bundle.stack,
        kind=Change.UPGRADE,
        stateful=True,
        origin=release,
        target=release,
        desired="",
        volumes=tuple(sorted(bundle.volumes.values())),
        started_at=context.ports.clock.now(),
        actor=context.actor,
    )


def _steps(context: Context, journal: Journal, *steps: Step) -> Failure | None:
    for step in steps:
        journal = journal.model_copy(update={"step": step})
        context.ports.clock.wait(0)
        context.ports.progress(context.app, str(step))
        try:
            context.ports.effect(f"run:{step}:before")
            result = driver.perform(Work(context=context, journal=journal, journaled=False))
        except (ActError, ObserveError, StateError) as exc:
            host = not isinstance(exc, ActError) or exc.host_fault
            return failed(step, str(exc), host=host)
        context.ports.effect(f"run:{step}:after")
        if isinstance(result, Failure):
            return result
        if isinstance(result, Done):
            journal = journal.model_copy(update=result.updates)
    return None
