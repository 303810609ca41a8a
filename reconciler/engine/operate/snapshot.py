"""The known-good data of an undeployed live app, by hand: taken, and put back. Effects: snapshots, volumes."""

from collections.abc import Callable, Sequence

from reconciler.core.change import data_version
from reconciler.engine.change.stamp import stamp
from reconciler.engine.change.steps.quiesce import blocking
from reconciler.engine.change.steps.snapshot import drop_fallback
from reconciler.engine.context import Context
from reconciler.engine.operate import app_lock
from reconciler.engine.release.facts import collect_facts
from reconciler.model.app import Kind
from reconciler.model.errors import ActError, UsageError
from reconciler.model.release import KnownGood
from reconciler.model.snapshot import SnapshotManifest


def create(context: Context, *, wait_s: float = 0.0) -> SnapshotManifest:
    """Take a snapshot; the one before it is replaced once the new one is verified.

    Raises:
        UsageError: a canonical, nothing known-good, or a change under way.
        ActError: the volumes are in use; nothing was touched.
        LockBusy: the app is being worked on.
    """
    ports = context.ports
    known = _require_at_rest(context)
    with app_lock.hold(context, "snapshot create", wait_s):
        bundle = ports.store.bundle(context.app, known.release.bundle)
        volumes = ports.engine.observe_volumes(list(bundle.volumes.values()))
        _refuse_if_in_use(context, list(volumes))
        _refuse_if_newer(context, known)
        now = ports.clock.now()
        name = f"{now:%Y%m%dT%H%M%SZ}-{context.app}-manual"
        manifest = SnapshotManifest(
            id=name,
            app=context.app,
            stack=context.stack,
            version=known.release.version,
            commit=known.release.commit,
            images=known.release.images,
            node=ports.engine.look().node_id,
            created_at=now,
            op_id=name,
            volumes=(),
        )
        return ports.node.snapshots.create(
            manifest,
            [volumes[key] for key in sorted(volumes)],
            before_exchange=lambda: drop_fallback(ports, context.app),
        )


def _refuse_if_newer(context: Context, known: KnownGood) -> None:
    """A snapshot says which version its data is of: under an older one's name it would bring the newer data to it."""
    facts = collect_facts(context, context.ports.engine.look(), None, remember=False)
    newer = data_version.find_newer(facts.stamps.values(), known.release.version, stateful=True)
    if newer:
        raise ActError(f"no snapshot: {data_version.describe(newer, known.release.version)}")


def restore(context: Context, confirm: Callable[[str], bool], *, wait_s: float = 0.0) -> SnapshotManifest | None:
    """Put the data back to the snapshot; what is there now is set aside. None: `confirm` said no.

    Raises:
        UsageError: as in `create`, or no snapshot of the version that is known-good.
        ActError: the volumes are in use; nothing was touched.
        LockBusy: the app is being worked on.
    """
    ports = context.ports
    known = _require_at_rest(context)
    with app_lock.hold(context, "snapshot restore", wait_s):
        manifest = ports.node.snapshots.observe(context.app)
        if manifest is None:
            raise UsageError(f"{context.app} has no snapshot")
        # Data of one version under another is what a snapshot is never used for (I2).
        if manifest.version != known.release.version:
            message = f"the snapshot is of {manifest.version}, known-good is {known.release.version}"
            raise UsageError(f"{message}; ci-warm rollback {context.app} brings back both")
        names = [volume.volume for volume in manifest.volumes]
        _refuse_if_in_use(context, names)
        if not confirm(f"Put the data of {context.app} back to {manifest.created_at}?"):
            return None
        volumes = dict(ports.engine.observe_volumes(names))
        for name in names:
            if name not in volumes:
                volumes[name] = ports.engine.create_volume(context.stack, name)
        op_id = f"manual-{ports.clock.now():%Y%m%dT%H%M%SZ}"
        ports.node.snapshots.restore(context.app, list(volumes.values()), op_id)
        stamp(ports, context.app, names, known.release, stateful=context.spec.stateful, op_id=op_id)
    return manifest


def _require_at_rest(context: Context) -> KnownGood:
    if context.spec.kind is Kind.CANONICAL:
        commands = "ci-warm canonical list|seed|deploy|undeploy, cold and quick work on it"
        raise UsageError(f"{context.app} is a canonical; {commands}")
    known = context.ports.store.known_good(context.app)
    if known is None:
        raise UsageError(f"{context.app} has no known-good release yet")
    if context.ports.store.journal(context.app) is not None:
        # Its snapshot may be the only way back, and its volumes may hold another release's data.
        raise UsageError(f"{context.app} has a change under way; ci-warm reconcile {context.app} finishes it first")
    return known


def _refuse_if_in_use(context: Context, volumes: Sequence[str]) -> None:
    holders = blocking(context.ports.node.containers.holders(context.stack, volumes))
    if holders:
        names = ", ".join(f"{holder.name} ({holder.state})" for holder in holders)
        raise ActError(f"refused, nothing touched: the volumes are in use by {names}")
