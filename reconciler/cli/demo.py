"""`demo`. Effects: everything below one new folder; `--engine swarm` also a few stacks on this host's Swarm."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import common


def demo(
    engine: Annotated[str, typer.Option("--engine", help="embedded (no Docker, no root) or swarm")] = "embedded",
    folder: Annotated[
        Path | None, typer.Option("--folder", help="keep everything here; default: a temporary folder")
    ] = None,
) -> None:
    """Show the main job end to end: deploy, upgrade, holds, and a failed upgrade whose data comes back."""
    from reconciler.model.errors import UsageError

    with common.errors():
        if engine not in ("embedded", "swarm"):
            raise UsageError(f"--engine {engine!r}: there are embedded and swarm")
        from reconciler.adapters.embedded import owner
        from reconciler.demo.story import tell

        owner.claim()
        # As Ctrl-C: what the story put on the engine is cleared away.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if not tell(engine, folder, common.say):
            raise typer.Exit(common.FAILED)
