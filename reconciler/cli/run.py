"""`run` and `gc`: the daemon, and what it does when a disk is full. Effects: through the engine."""

import os
from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag


def run() -> None:
    """Run for ever: look, do the next safe thing, again. Ends at the next safe step on SIGTERM."""
    from reconciler import logs, service

    with common.errors():
        common.check_config()
        os.umask(0o077)
        logs.configure(verbose=common.OPTIONS.verbose, service=True)
        with service.daemon(common.OPTIONS.config, common.OPTIONS.state) as daemon:
            daemon.install_signals()
            daemon.run()


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, json: JsonFlag = False
) -> None:
    """Remove images that no app, fallback or service needs. Never volumes, never without force of the engine's own."""
    from reconciler.engine import gc as engine_gc

    with common.errors():
        built = common.app()
        done = engine_gc.collect(built.ports, built.settings, built.specs, dry_run=dry_run)
    if json:
        common.print_json(
            {
                "dry_run": dry_run, "skipped": done.skipped, "freed_bytes": done.freed,
                "removed": [common.fields(removal) for removal in done.removed],
                "refused": [common.fields(removal) for removal in done.refused],
            }
        )  # fmt: skip
    else:
        verb = "would remove" if dry_run else "removed"
        for removal in done.removed:
            name = ", ".join(removal.references) or removal.id[:19]
            common.say(f"{verb} {name} ({removal.size / (1 << 20):.1f} MiB): {removal.why}")
        for removal in done.refused:
            common.say(f"kept {', '.join(removal.references)}: the engine says it is in use")
        if done.skipped:
            common.say(f"nothing done: {done.skipped}")
        elif not done.removed:
            common.say("nothing to remove")
    if done.skipped:
        raise typer.Exit(common.BUSY)
