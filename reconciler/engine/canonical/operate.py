"""A canonical in the hands of people: shown, brought up, taken down. Effects: its stack, its mark.

Callers hold the app's lock, but for `describe`.
"""

from dataclasses import dataclass, replace

from reconciler.core.canonical import status as canonical_status
from reconciler.engine.canonical import data
from reconciler.engine.change import unjournaled
from reconciler.engine.clocks import unstoppable
from reconciler.engine.context import Context
from reconciler.engine.release import build
from reconciler.engine.release.render import Extras, test_overlays
from reconciler.model.canonical import Canonical
from reconciler.model.errors import ActError, Interrupted, StateError, UsageError
from reconciler.model.journal import Failure
from reconciler.model.observed import World
from reconciler.model.testrun import Source


@dataclass(frozen=True, kw_only=True)
class Row:
    """One canonical as people see it. `bytes`: of data in its snapshot."""

    app: str
    status: str
    version: str
    commit: str
    domain: str
    snapshot: str
    bytes: int
    since: str
    reason: str


def describe(context: Context, world: World) -> Row:
    """Say how a canonical is, from its records and one look."""
    ports, spec = context.ports, context.spec
    try:
        canonical, use = ports.canonicals.canonical(context.app), ports.canonicals.use(context.app)
        manifest = ports.node.snapshots.observe(context.app)
    except StateError as exc:
        return Row(
            app=spec.name,
            status="unreadable",
            version="",
            commit="",
            domain=spec.domain,
            snapshot="",
            bytes=0,
            since="",
            reason=str(exc),
        )
    seen = canonical_status.CanonicalFacts(
        canonical=canonical,
        use=use,
        services=bool(world.stack(context.stack).services),
        stack=context.stack,
        snapshot=manifest.id if manifest else None,
        volumes=tuple(name for name in (canonical.volumes if canonical else ()) if name in world.volumes),
        released=True,
    )
    return Row(
        app=spec.name,
        status=canonical_status.word(seen),
        version=canonical.version if canonical else "",
        commit=canonical.commit if canonical else "",
        domain=spec.domain,
        snapshot=(canonical.snapshot or "") if canonical else "",
        bytes=sum(volume.data_bytes for volume in manifest.volumes) if manifest else 0,
        since=f"{use.since:%Y-%m-%dT%H:%M:%SZ}" if use else "",
        reason=canonical_status.judge(seen).reason,
    )


def deploy(context: Context, *, fresh: bool) -> Canonical:
    """Bring it up at the version on record, whatever ran here last; on its data, restored if a test left it dirty.

    Raises:
        UsageError: there is no canonical, or it runs already.
        ActError: it did not come up; what ran is down again.
        Interrupted: asked to stop; what ran is down again.
    """
    canonical = _whole(context)
    use = context.ports.canonicals.use(context.app)
    if context.ports.engine.observe_stack(context.stack).services:
        raise UsageError(f"{context.app} runs already; ci-warm canonical undeploy {context.app} takes it down")
    lost = set(canonical.volumes) - set(context.ports.engine.observe_volumes(canonical.volumes))
    if canonical.snapshot is not None and (fresh or lost or (use is not None and use.by != data.MANUAL)):
        # Not by hand yet: a crash in the restore must be repaired by the next pass, which leaves alone what
        # an operator uses.
        data.mark_in_use(context, "restore")
        _or_raise(data.restore(context, canonical))
    # From here on the data is the operator's: no pass takes it down or puts it back.
    data.mark_in_use(context, data.MANUAL)
    source = Source(version=canonical.version, commit=canonical.commit, kind="release", name="known-good")
    own = test_overlays(context.ports, context.spec, context.spec.test_spec, source.commit)
    bundle = build.build_bundle(context, source, Extras(overlays=own), "", head=False, known=canonical.images)
    try:
        failure = unjournaled.deploy(context, bundle)
    except Interrupted:
        data.undeploy(replace(context, ports=unstoppable(context.ports)), canonical)
        raise
    finally:
        # Bundles belong to live apps; a canonical is rendered anew each time from its commit.
        context.ports.store.prune_bundles(context.app, [])
    if failure is not None:
        data.undeploy(context, canonical)
        _or_raise(failure)
    return canonical


def undeploy(context: Context, *, restore: bool) -> bool:
    """Take it down; the data stays, or goes back to the snapshot if there is one: then True.

    Raises:
        ActError: it could not be taken down, or the data not be put back.
    """
    data.finish_promotion(context)
    canonical = context.ports.canonicals.canonical(context.app)
    _or_raise(data.undeploy(context, canonical))
    if restore and canonical is not None:
        _or_raise(data.restore(context, canonical))
    return restore and canonical is not None and canonical.snapshot is not None


def _whole(context: Context) -> Canonical:
    data.finish_promotion(context)
    elsewhere = data.find_move(context)
    if elsewhere is not None:
        raise UsageError(f"{elsewhere}; set stack: in the spec")
    canonical = context.ports.canonicals.canonical(context.app)
    if canonical is None:
        raise UsageError(f"{context.app} is cold; ci-warm canonical seed {context.app} warms it")
    if data.has_lost_its_snapshot(context, canonical):
        raise UsageError(f"{context.app} has lost its snapshot; ci-warm canonical seed {context.app} makes a new one")
    return canonical


def _or_raise(failure: Failure | None) -> None:
    if failure is not None:
        text = f"{failure.step}: {failure.reason}"
        raise ActError(f"{text} ({'; '.join(failure.evidence)})" if failure.evidence else text)
