"""One stack of a test: deployed, undeployed, snapshotted, restored, with the steps that live apps use.

Effects: as those steps. Nothing is journaled: what a run made is torn down, and a canonical has its own marks
(`engine.canonical.data`).
"""

from collections.abc import Callable

from reconciler.engine.change import leftovers
from reconciler.engine.change.steps import deploy as deploy_step
from reconciler.engine.change.steps import quiesce as quiesce_step
from reconciler.engine.change.steps import restore as restore_step
from reconciler.engine.change.steps import settle as settle_step
from reconciler.engine.change.steps import snapshot as snapshot_step
from reconciler.engine.change.steps import undeploy as undeploy_step
from reconciler.engine.change.steps import verify as verify_step
from reconciler.engine.context import Before, Context, Done, Judge, StepContext, StepResult, failed
from reconciler.model.errors import ActError, ObserveError, StateError
from reconciler.model.health import HealthSpec
from reconciler.model.ids import StackName
from reconciler.model.journal import Failure, Step
from reconciler.model.release import Bundle

_NOTHING = Before(marks={}, old_tasks=())


def deploy(context: Context, bundle: Bundle) -> Failure | None:
    """Deploy, settle, verify; None: it stands and answers. In place, if an older release stands already."""
    context.ports.store.put_bundle(bundle)
    judge, noted = _judge(context, bundle), [_NOTHING]
    return (
        _run(context, bundle, Step.DEPLOY, lambda at: deploy_step.deploy(at, bundle, noted.append, stays=True))
        or _run(context, bundle, Step.SETTLE, lambda at: settle_step.settle(at, bundle, judge.health, noted[-1]))
        or _run(context, bundle, Step.VERIFY, lambda at: verify_step.verify(at, bundle, judge, noted[-1]))
    )


def undeploy(context: Context, bundle: Bundle) -> Failure | None:
    """Take the services down and wait until nothing can write; the data stays."""
    return _take_down(context, bundle, undeploy_step.undeploy)


def undeploy_for_snapshot(context: Context, bundle: Bundle) -> tuple[Failure | None, tuple[str, ...]]:
    """The same, and which services did not end within their grace: a failure if the spec wants a clean stop."""
    killed: list[str] = []

    def work(at: StepContext) -> StepResult:
        result = undeploy_step.undeploy(at, require_clean_stop=context.spec.upgrade.require_clean_stop)
        if isinstance(result, Done) and isinstance(names := result.updates["killed"], tuple):
            killed.extend(names)
        return result

    return _take_down(context, bundle, work), tuple(killed)


def _take_down(context: Context, bundle: Bundle, work: Callable[[StepContext], StepResult]) -> Failure | None:
    names = _list_volumes(bundle)
    return _run(context, bundle, Step.UNDEPLOY, work) or _run(
        context, bundle, Step.QUIESCE, lambda at: quiesce_step.quiesce(at, names)
    )


def verify(context: Context, bundle: Bundle) -> Failure | None:
    """Ask once more whether it is well."""
    judge = _judge(context, bundle)
    return _run(context, bundle, Step.VERIFY, lambda at: verify_step.verify(at, bundle, judge, _NOTHING))


def snapshot(context: Context, bundle: Bundle, op_id: str, killed: tuple[str, ...] = ()) -> Failure | None:
    """Snapshot the volumes of what was undeployed, read back and exchanged for the snapshot before.

    `killed`: services that did not end within their grace; the manifest says so.
    """
    names, release = _list_volumes(bundle), bundle.release
    return _run(context, bundle, Step.SNAPSHOT, lambda at: snapshot_step.snapshot(at, op_id, names, release, killed))


def restore(context: Context, bundle: Bundle, wanted: str, op_id: str) -> Failure | None:
    """Make the volumes equal the snapshot `wanted`; those that it does not have are emptied.

    What was in them is kept no longer than this takes, and not that long where there is no room for it. The caller has
    it on record that the volumes may differ from the snapshot.
    """
    names = _list_volumes(bundle)
    failure = _run(
        context, bundle, Step.BACK_RESTORE, lambda at: restore_step.restore(at, op_id, names, wanted, at.tell)
    )
    if failure is None:
        found = [volume for volume in context.ports.engine.observe_volumes(names).values() if volume.path]
        # What was replaced is a test's or a dead run's data; live apps keep theirs aside until the next
        # change goes well.
        leftovers.tell(context.ports, context.app, context.ports.node.snapshots.forget_aside(context.app, found))
        # Only now do volumes and snapshot certainly agree: the stamp lets the next run skip what is still
        # equal (ADR 0010).
        context.ports.node.snapshots.remember(context.app, found)
    return failure


def _list_volumes(bundle: Bundle) -> tuple[str, ...]:
    return tuple(sorted(bundle.volumes.values()))


def _judge(context: Context, bundle: Bundle) -> Judge:
    if not bundle.health:
        return Judge(domain=context.spec.domain, health=context.spec.health)
    return Judge(domain=bundle.domain, health=HealthSpec.model_validate(bundle.health))


def _run(context: Context, bundle: Bundle, step: Step, work: Callable[[StepContext], StepResult]) -> Failure | None:
    at = StepContext(
        ports=context.ports,
        limits=context.settings.limits,
        app=context.app,
        stack=StackName(bundle.stack),
        step=step,
    )
    # The run's deadline and a request to stop are raised by pauses; a step that needs none must still meet
    # them.
    context.ports.clock.wait(0)
    at.tell(str(step))
    try:
        context.ports.effect(f"run:{step}:before")
        result = work(at)
    except (ActError, ObserveError, StateError) as exc:
        return failed(step, str(exc), host=not isinstance(exc, ActError) or exc.host_fault)
    context.ports.effect(f"run:{step}:after")
    return None if isinstance(result, Done) else result
