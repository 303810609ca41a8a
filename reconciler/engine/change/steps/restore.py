"""Put the volumes back to the snapshot; what the failed release wrote is kept aside. Effects: volume folders."""

from reconciler.engine.change.steps import quiesce
from reconciler.engine.context import DONE, StepResult, Work, failed
from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName


def act(work: Work) -> StepResult:
    """Restore every volume of the snapshot and empty those that only the failed release had.

    Raises nothing that could pass for success: any doubt is a Failure, and the journal stays.
    """
    ports, journal = work.ports, work.journal
    app = AppName(journal.app)
    try:
        manifest = ports.snapshots.observe(app)
        if manifest is None or manifest.id != journal.snapshot:
            found = manifest.id if manifest else "none"
            return failed(
                journal.step, "the snapshot to restore is not there", f"wanted {journal.snapshot}, found {found}"
            )
        blocking = quiesce.blocking(ports.engine.holders(work.stack, journal.volumes))
        if blocking:
            return failed(journal.step, "a container holds the volumes", blocking[0].name, host=True)
        archived = [volume.volume for volume in manifest.volumes]
        volumes = dict(ports.engine.observe_volumes(sorted({*archived, *journal.volumes})))
        for name in archived:
            if name not in volumes:
                volumes[name] = ports.engine.create_volume(work.stack, name)
        ports.snapshots.restore(app, [volumes[name] for name in archived], journal.op_id)
        new = [volume for name, volume in sorted(volumes.items()) if name not in archived]
        ports.snapshots.set_aside(new, journal.op_id)
    except (ActError, StateError, OSError) as exc:
        return failed(journal.step, str(exc), host=True)
    return DONE
