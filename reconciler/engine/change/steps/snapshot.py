"""Take the verified snapshot that a way back restores. Effects: the app's snapshot folder."""

from collections.abc import Sequence

from reconciler.engine.change.steps.quiesce import blocking
from reconciler.engine.context import Done, StepContext, StepResult
from reconciler.engine.ports import Ports
from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName
from reconciler.model.release import Release
from reconciler.model.snapshot import SnapshotManifest


def snapshot(
    at: StepContext, op_id: str, names: Sequence[str], prior: Release | None, killed: tuple[str, ...] = ()
) -> StepResult:
    """Snapshot the volumes of what ran. On failure the old snapshot stays.

    `names`: of both releases; what the candidate mounts besides and exists already must come back too. `prior` None:
    no record says which release wrote them. `killed`: services that did not end by themselves.
    """
    ports = at.ports
    volumes = ports.engine.observe_volumes(names)
    # Again, right before reading: a snapshot of data that is being written belongs to no version (I4).
    holders = blocking(ports.node.containers.holders(at.stack, list(volumes)))
    if holders:
        return at.fail("a container holds the volumes", holders[0].name, host=True)
    manifest = SnapshotManifest(
        id=op_id,
        app=at.app,
        stack=at.stack,
        version=prior.version if prior else "unknown",
        commit=prior.commit if prior else "",
        images=prior.images if prior else {},
        node=ports.engine.look().node_id,
        created_at=ports.clock.now(),
        op_id=op_id,
        volumes=(),
        killed=killed,
    )
    try:
        done = ports.node.snapshots.create(
            manifest, [volumes[name] for name in sorted(volumes)], before_exchange=lambda: drop_fallback(ports, at.app)
        )
    except (ActError, StateError) as exc:
        return at.fail(str(exc), host=True)
    return Done(updates={"snapshot": done.id})


def drop_fallback(ports: Ports, app: AppName) -> None:
    """Known-good's fallback goes with the old snapshot: it must never name data that is no longer there."""
    known = ports.store.known_good(app)
    if known is not None and known.fallback is not None:
        # Before the exchange: a crash in between leaves a snapshot without a fallback, never a fallback
        # without its data.
        ports.store.put_known_good(known.model_copy(update={"fallback": None}))
        ports.effect("snapshot:fallback-dropped")
