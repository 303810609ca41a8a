"""A canonical's data: taken for a use, given back, restored, recovered after a crash. Effects: engine, volumes, marks.

Callers hold the app's lock. The mark (`use.json`) is on disk before anything may write to the volumes, and goes only
when they equal the snapshot again.
"""

from collections.abc import Sequence

from reconciler.core.canonical import promotion as promotions
from reconciler.core.canonical import status
from reconciler.core.conditions import RestoreFailed
from reconciler.engine.change import unjournaled
from reconciler.engine.change.steps.quiesce import blocking
from reconciler.engine.context import Context
from reconciler.model.canonical import Canonical, Use
from reconciler.model.errors import ActError
from reconciler.model.journal import Failure
from reconciler.model.release import Bundle

MANUAL = status.MANUAL
_STACK_LABEL = "com.docker.stack.namespace"


def mark_in_use(context: Context, by: str) -> None:
    """From now on the volumes may differ from the snapshot."""
    now = context.ports.clock.now()
    context.ports.canonicals.put_use(Use(app=context.app, by=by, since=now))
    context.ports.effect("use:marked")


def find_user(context: Context) -> str | None:
    """Who uses it though we hold its lock: an operator, with our command or without; None: it is free."""
    ports = context.ports
    use = ports.canonicals.use(context.app)
    if (use is not None and use.by != MANUAL) or not ports.engine.observe_stack(context.stack).services:
        return None
    if use is None:
        unmarked = f"services run in {context.stack}, and no mark says who uses it"
        return f"{unmarked}; ci-warm canonical undeploy {context.app}"
    return f"an operator uses it since {use.since:%Y-%m-%d %H:%M} UTC; ci-warm canonical undeploy {context.app} ends it"


def find_move(context: Context) -> str | None:
    """Whether the spec names another stack than its data belongs to, in words; None: it does not."""
    canonical = context.ports.canonicals.canonical(context.app)
    if canonical is None or canonical.stack == context.stack:
        return None
    return f"the spec names stack {context.stack}, the canonical's data belongs to stack {canonical.stack}"


def has_lost_its_snapshot(context: Context, canonical: Canonical) -> bool:
    """Look whether the snapshot on disk is the canonical's."""
    manifest = context.ports.node.snapshots.observe(context.app)
    return status.has_lost_its_snapshot(canonical, manifest.id if manifest else None)


def borrow(context: Context, canonical: Canonical, by: str) -> bool | Failure:
    """Have the canonical for a test: idle, its volumes equal to the snapshot, and marked as in use.

    Says whether they had to be put back first.
    """
    restored = needs_restore(context, canonical)
    mark_in_use(context, by)
    # Marked before a byte is changed, and again after: `restore` takes the mark away, because volumes and
    # snapshot agree.
    if restored:
        failure = restore(context, canonical)
        if failure is not None:
            return failure
        mark_in_use(context, by)
    return restored


def needs_restore(context: Context, canonical: Canonical) -> bool:
    """Say whether the volumes may differ from the snapshot: marked, gone, or touched by another program."""
    ports = context.ports
    if canonical.snapshot is None:
        return bool(list_volumes(context))
    # The mark alone is enough: what a run wrote is not compared, it is replaced.
    if ports.canonicals.use(context.app) is not None:
        return True
    found = ports.engine.observe_volumes(canonical.volumes)
    return set(found) != set(canonical.volumes) or not ports.node.snapshots.is_untouched(
        context.app, list(found.values())
    )


def restore(context: Context, canonical: Canonical) -> Failure | None:
    """Make the volumes equal the snapshot, whatever is in them, and take the mark away.

    Without a snapshot there is nothing worth keeping (`stateful: false`), so that each use begins with nothing.
    """
    ports = context.ports
    kept = canonical.volumes if canonical.snapshot is not None else ()
    # A head under test may have made volumes that known-good does not have; kept, they would meet the next
    # head.
    ports.engine.remove_volumes(context.stack, sorted(set(list_volumes(context)) - set(kept)))
    if canonical.snapshot is not None:
        op_id = f"restore-{ports.clock.now():%Y%m%dT%H%M%S%fZ}"
        failure = unjournaled.restore(context, make_empty_bundle(context, canonical), canonical.snapshot, op_id)
        if failure is not None:
            _alert(context, canonical, failure)
            return failure
        ports.alerts.resolve(context.app, [], reason=RestoreFailed.REASON)
    # Last: until here a crash leaves the mark, and the next process restores again.
    ports.canonicals.end_use(context.app)
    ports.effect("use:ended")
    return None


def _alert(context: Context, canonical: Canonical, failure: Failure) -> None:
    """No run can use it until the operator does something."""
    now = context.ports.clock.now()
    evidence = (f"{failure.step}: {failure.reason}", *failure.evidence)
    condition = RestoreFailed(app=context.app)
    context.ports.alerts.raise_(condition.alert(now, evidence, target=canonical.version))


def list_volumes(context: Context) -> list[str]:
    """Every volume of the canonical's stack, those that only a test's head made among them."""
    world = context.ports.engine.look()
    return sorted(name for name, volume in world.volumes.items() if volume.labels.get(_STACK_LABEL) == context.stack)


def make_empty_bundle(context: Context, canonical: Canonical | None) -> Bundle:
    """A bundle that names the canonical's volumes and no more: for taking down and putting back."""
    names = canonical.volumes if canonical else ()
    return Bundle(
        id="",
        app=context.app,
        stack=context.stack,
        version=canonical.version if canonical else "",
        commit=canonical.commit if canonical else "",
        doc={},
        volumes={name: name for name in names},
    )


def undeploy(context: Context, canonical: Canonical | None) -> Failure | None:
    """Take down whatever runs in the canonical's stack; the data stays."""
    return unjournaled.undeploy(context, make_empty_bundle(context, canonical))


def remove_volumes(context: Context) -> None:
    """Remove the volumes; without a canonical they are worth nothing, with one its snapshot stands.

    Raises:
        ActError: a container still holds one.
    """
    names = list_volumes(context)
    holders = blocking(context.ports.node.containers.holders(context.stack, names))
    if holders:
        raise ActError(f"the volumes are held by {holders[0].name}", host_fault=True)
    context.ports.engine.remove_volumes(context.stack, names)


def recover(context: Context) -> tuple[str, ...]:
    """Bring a canonical back to idle and whole after a run died with it; what could not be done, in words."""
    ports, app = context.ports, context.app
    # Which canonical there is must be decided before its data is put back.
    finish_promotion(context)
    canonical = ports.canonicals.canonical(app)
    if ports.canonicals.use(app) is None:
        return ()
    failure = undeploy(context, canonical)
    if failure is None and canonical is not None:
        failure = restore(context, canonical)
    elif failure is None:
        remove_volumes(context)  # a seed that died: what it wrote was never known-good
        ports.canonicals.end_use(app)
    return (f"{failure.step}: {failure.reason}",) if failure is not None else ()


def finish_promotion(context: Context) -> None:
    """Decide an interrupted promotion: the old canonical or the new one, whole."""
    ports, app = context.ports, context.app
    pending = ports.canonicals.promotion(app)
    if pending is None:
        return
    left = promotions.after_crash(pending, ports.node.snapshots.observe(app))
    if left is promotions.Leftover.FINISH:
        ports.canonicals.put_canonical(pending.candidate)
    ports.canonicals.end_promotion(app)


def keep_images(context: Context, canonical: Canonical | None, more: Sequence[str] = ()) -> None:
    """Pin what known-good needs, and what a test adds for its while."""
    kept = {*(canonical.images.values() if canonical else ()), *more}
    context.ports.engine.protect_images(context.app, sorted(kept))
