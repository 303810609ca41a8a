"""Take the verified snapshot that a way back restores. Effects: the app's snapshot folder."""

from reconciler.engine.change.steps import quiesce
from reconciler.engine.context import Done, StepResult, Work, failed
from reconciler.engine.ports import Ports
from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName
from reconciler.model.snapshot import SnapshotManifest


def act(work: Work) -> StepResult:
    """Snapshot the volumes of what ran. On failure the old snapshot stays."""
    ports, journal = work.ports, work.journal
    app = AppName(journal.app)
    prior = journal.origin or journal.target
    # Of both releases: what the candidate mounts besides and exists already must come back too.
    volumes = ports.engine.observe_volumes(journal.volumes)
    blocking = quiesce.blocking(ports.engine.holders(work.stack, list(volumes)))
    if blocking:
        return failed(journal.step, "a container holds the volumes", blocking[0].name, host=True)
    manifest = SnapshotManifest(
        id=journal.op_id,
        app=app,
        stack=journal.stack,
        version=prior.version if journal.origin else "unknown",
        commit=prior.commit if journal.origin else "",
        images=prior.images if journal.origin else {},
        node=ports.engine.look().node_id,
        created_at=ports.clock.now(),
        op_id=journal.op_id,
        volumes=(),
    )
    try:
        done = ports.snapshots.create(
            manifest, [volumes[name] for name in sorted(volumes)], before_exchange=lambda: drop_fallback(ports, app)
        )
    except (ActError, StateError) as exc:
        return failed(journal.step, str(exc), host=True)
    return Done(updates={"snapshot": done.id})


def drop_fallback(ports: Ports, app: AppName) -> None:
    """Known-good's fallback goes with the old snapshot: it must never name data that is no longer there."""
    known = ports.store.known_good(app)
    if known is not None and known.fallback is not None:
        ports.store.put_known_good(known.model_copy(update={"fallback": None}))
        ports.effect("snapshot:fallback-dropped")
