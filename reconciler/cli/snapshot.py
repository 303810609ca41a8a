"""`snapshot create|list|verify|drill|restore|export`. Effects: snapshots, volumes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import AppArgument, JsonFlag, WaitFlag, YesFlag

group = typer.Typer(help="The known-good data of an app.", no_args_is_help=True)


@group.command()
def create(app: AppArgument, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """Take a snapshot of an undeployed app; the one before it is replaced once the new one is verified."""
    from reconciler.engine.operate import snapshot as use_case

    with common.change("snapshot create", app):
        done = use_case.create(common.context(common.app(), app), wait_s=wait)
    if json:
        common.print_json(done)
    else:
        common.say(f"{app}: snapshot {done.id}, {sum(v.data_bytes for v in done.volumes)} bytes, verified")


@group.command("list")
def list_(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", autocompletion=names.apps)] = None,
    json: JsonFlag = False,
) -> None:
    """List snapshots: one per app."""
    with common.errors():
        built = common.app()
        specs = [built.spec(app)] if app else list(built.specs)
        found = [manifest for spec in specs if (manifest := built.snapshots.observe(spec.app)) is not None]
    if json:
        common.print_json(found)
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
        from reconciler.model.printed import Verified

        common.print_json(Verified(app=app, ok=not problems, problems=tuple(problems)))
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
        context = common.context(built, app)
        with common.hold_lock(built, app, "snapshot drill", wait):
            done = engine_drill.drill(context)
        if done is None:
            raise UsageError(f"{app} has no snapshot")
    if json:
        common.print_json(done)
    else:
        common.say("\n".join(done.problems) or f"{app}: snapshot {done.snapshot} restores")
    if done.problems:
        raise typer.Exit(common.FAILED)


@group.command()
def restore(app: AppArgument, yes: YesFlag = False, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """Put an undeployed app's data back to its snapshot; what is there now is set aside."""
    from reconciler.engine.operate import snapshot as use_case

    with common.change("snapshot restore", app):
        manifest = use_case.restore(common.context(common.app(), app), common.confirmer(yes=yes), wait_s=wait)
    if manifest is None:
        common.refuse("snapshot restore", app)
    if json:
        from reconciler.model.printed import Restored, SnapshotName

        name = SnapshotName(id=manifest.id, version=manifest.version, created_at=manifest.created_at)
        common.print_json(Restored(app=app, snapshot=name))
        return
    common.say(f"{app}: data is as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC")


@group.command()
def export(
    app: AppArgument,
    to: Annotated[Path, typer.Argument(metavar="FILE", help="tar file to write; - for stdout")],
    json: JsonFlag = False,
) -> None:
    """Pack a snapshot into one tar file, to be kept elsewhere."""
    import tarfile

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
            if json:
                from reconciler.model.printed import Exported

                common.print_json(Exported(app=app, file=str(to)))
            else:
                common.say(f"{app}: exported to {to}")
