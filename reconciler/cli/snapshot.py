"""`snapshot create|list|verify|drill|restore|export`. Effects: snapshots, volumes."""

import sys
import tarfile
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import common
from reconciler.cli.common import AppArgument, JsonFlag, WaitFlag, YesFlag

group = typer.Typer(help="The known-good data of an app.", no_args_is_help=True)


def _open(app: str) -> tuple[Any, Any, Any]:
    """(built app, context, known-good).

    Raises:
        UsageError: nothing is known-good yet.
    """
    from reconciler.model.errors import UsageError

    built = common.app()
    common.refuse_canonical(built, app)
    context = common.context(built, app, common.actor())
    known = built.store.known_good(context.app)
    if known is None:
        raise UsageError(f"{app} has no known-good release yet")
    if built.store.journal(context.app) is not None:
        # Its snapshot may be the only way back, and its volumes may hold another release's data.
        raise UsageError(f"{app} has a change under way; ci-warm reconcile {app} finishes it first")
    return built, context, known


def _refuse_if_in_use(built: Any, context: Any, volumes: list[str]) -> None:
    from reconciler.engine.change.steps.quiesce import blocking
    from reconciler.model.errors import ActError

    holders = blocking(built.ports.engine.holders(context.stack, volumes))
    if holders:
        names = ", ".join(f"{holder.name} ({holder.state})" for holder in holders)
        raise ActError(f"refused, nothing touched: the volumes are in use by {names}")


@group.command()
def create(app: AppArgument, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """Take a snapshot of an undeployed app; the one before it is replaced once the new one is verified."""
    from reconciler.engine.change.steps.snapshot import drop_fallback
    from reconciler.model.snapshot import SnapshotManifest

    with common.errors():
        built, context, known = _open(app)
        with common.locked(built, app, "ci-warm snapshot create", wait):
            volumes = built.ports.engine.observe_volumes(
                list(built.store.bundle(context.app, known.release.bundle).volumes.values())
            )
            _refuse_if_in_use(built, context, list(volumes))
            now = built.clock.now()
            name = f"{now:%Y%m%dT%H%M%SZ}-{app}-manual"
            manifest = SnapshotManifest(
                id=name,
                app=app,
                stack=context.stack,
                version=known.release.version,
                commit=known.release.commit,
                images=known.release.images,
                node=built.ports.engine.look().node_id,
                created_at=now,
                op_id=name,
                volumes=(),
            )
            done = built.snapshots.create(
                manifest,
                [volumes[key] for key in sorted(volumes)],
                before_exchange=lambda: drop_fallback(built.ports, context.app),
            )
    if json:
        common.print_json(common.dumped(done))
    else:
        common.say(f"{app}: snapshot {done.id}, {sum(v.data_bytes for v in done.volumes)} bytes, verified")


@group.command("list")
def list_(app: Annotated[str | None, typer.Argument(metavar="[APP]")] = None, json: JsonFlag = False) -> None:
    """List snapshots: one per app."""
    with common.errors():
        built = common.app()
        specs = [built.spec(app)] if app else list(built.specs)
        found = [manifest for spec in specs if (manifest := built.snapshots.observe(spec.app)) is not None]
    if json:
        common.print_json([common.dumped(manifest) for manifest in found])
        return
    rows = [
        (m.app, m.version, f"{m.created_at:%Y-%m-%d %H:%M:%S}", sum(v.data_bytes for v in m.volumes), m.id)
        for m in found
    ]
    common.print_table(("app", "version", "taken (UTC)", "bytes", "id"), rows)


@group.command()
def verify(app: AppArgument, json: JsonFlag = False) -> None:
    """Read a snapshot back and check every digest. Exit 1 if anything is wrong."""
    with common.errors():
        built = common.app()
        problems = built.snapshots.verify(built.spec(app).app)
    if json:
        common.print_json({"app": app, "ok": not problems, "problems": problems})
    else:
        common.say("\n".join(problems) if problems else f"{app}: the snapshot is whole")
    if problems:
        raise typer.Exit(common.FAILED)


@group.command()
def drill(app: AppArgument, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """Restore a snapshot into a scratch folder, compare, and throw that away. Exit 1 if it would not restore."""
    from reconciler.engine.host import restore_drill as engine_drill
    from reconciler.model.errors import UsageError

    with common.errors():
        built = common.app()
        context = common.context(built, app, common.actor())
        with common.locked(built, app, "ci-warm snapshot drill", wait):
            done = engine_drill.practise(context)
        if done is None:
            raise UsageError(f"{app} has no snapshot")
    if json:
        common.print_json(common.dumped(done))
    else:
        common.say("\n".join(done.problems) or f"{app}: snapshot {done.snapshot} restores")
    if done.problems:
        raise typer.Exit(common.FAILED)


@group.command()
def restore(app: AppArgument, yes: YesFlag = False, wait: WaitFlag = 0.0) -> None:
    """Put an undeployed app's data back to its snapshot; what is there now is set aside."""
    with common.errors():
        built, context, known = _open(app)
        with common.locked(built, app, "ci-warm snapshot restore", wait):
            from reconciler.model.errors import UsageError

            manifest = built.snapshots.observe(context.app)
            if manifest is None:
                raise UsageError(f"{app} has no snapshot")
            if manifest.version != known.release.version:
                message = f"the snapshot is of {manifest.version}, known-good is {known.release.version}"
                raise UsageError(f"{message}; ci-warm rollback {app} brings back both")
            names = [volume.volume for volume in manifest.volumes]
            _refuse_if_in_use(built, context, names)
            if not yes and not typer.confirm(f"Put the data of {app} back to {manifest.created_at}?", err=True):
                common.stop(common.FAILED, "aborted, nothing touched")
            volumes = dict(built.ports.engine.observe_volumes(names))
            for name in names:
                if name not in volumes:
                    volumes[name] = built.ports.engine.create_volume(context.stack, name)
            built.snapshots.restore(context.app, list(volumes.values()), f"manual-{built.clock.now():%Y%m%dT%H%M%SZ}")
    common.say(f"{app}: data is as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC")


@group.command()
def export(
    app: AppArgument, to: Annotated[Path, typer.Argument(metavar="FILE", help="tar file to write; - for stdout")]
) -> None:
    """Pack a snapshot into one tar file, to be kept elsewhere."""
    with common.errors():
        built = common.app()
        name = built.spec(app).app
        problems = built.snapshots.verify(name)
        if problems:
            common.stop(common.FAILED, "\n".join(problems))
        if str(to) == "-":
            with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as out:
                out.add(built.snapshots.folder(name), arcname=app)
        else:
            with tarfile.open(to, "x") as out:
                out.add(built.snapshots.folder(name), arcname=app)
            common.say(f"{app}: exported to {to}")
