"""Put the volumes back to the snapshot; what the failed release wrote is kept aside. Effects: volume folders."""

from collections.abc import Callable, Sequence

from reconciler.engine.change.steps.quiesce import quiesce
from reconciler.engine.context import DONE, StepContext, StepResult
from reconciler.model.errors import ActError, StateError
from reconciler.model.journal import Failure


def restore(
    at: StepContext, op_id: str, names: Sequence[str], wanted: str | None, remark: Callable[[str], None]
) -> StepResult:
    """Restore every volume of the snapshot `wanted` and empty those of `names` that only the failed release had.

    `remark`: puts on record, before it is done, what is given up where there is no room to keep it, and what of the
    data could not be put back. That this restore is not over must be on record, too.
    Raises nothing that could pass for success: any doubt is a Failure, and the journal stays.
    """
    ports = at.ports
    try:
        manifest = ports.node.snapshots.observe(at.app)
        # Data of another snapshot belongs to another version; putting it under this one is what must never
        # happen (I2).
        if manifest is None or manifest.id != wanted:
            found = manifest.id if manifest else "none"
            return at.fail("the snapshot to restore is not there", f"wanted {wanted}, found {found}")
        # Quiescing was a step of its own, and after a crash between the two a container may be back (I4): a dead one
        # of ours, which nobody else removes, must not keep the data away for ever.
        quiet = quiesce(at, names)
        if isinstance(quiet, Failure):
            return quiet
        archived = [volume.volume for volume in manifest.volumes]
        volumes = dict(ports.engine.observe_volumes(sorted({*archived, *names})))
        # A volume that was removed meanwhile, by hand or by a prune, comes back as part of the snapshot.
        for name in archived:
            if name not in volumes:
                volumes[name] = ports.engine.create_volume(at.stack, name)
        chosen = [volume for _, volume in sorted(volumes.items())]
        for text in ports.node.snapshots.restore(at.app, chosen, op_id, give_up=remark):
            remark(text)
    except (ActError, StateError, OSError) as exc:
        return at.fail(str(exc), host=True)
    return DONE
