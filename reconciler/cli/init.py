"""`init`: what an operator starts from. Effects: new files beside the settings; `--example` also images."""

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag

_PORT = 8088


def init(
    example: Annotated[bool, typer.Option("--example", help="also an app that runs: recipe, images and spec")] = False,
    engine: Annotated[str, typer.Option("--engine", help="of the example: swarm or embedded")] = "swarm",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="where the example answers")] = _PORT,
    from_running: Annotated[
        str | None, typer.Option("--from-running", metavar="STACK", help="a spec of what runs in the Swarm instead")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="URL", help="its recipe; {recipe} stands for its name by its label"),
    ] = None,
    domain: Annotated[str | None, typer.Option("--domain", help="its domain; default: of its Traefik labels")] = None,
    name: Annotated[str | None, typer.Option("--name", help="of the app; default: the recipe's")] = None,
    json: JsonFlag = False,
) -> None:
    """Write settings to start from where --config points, or a spec of a stack that runs. Nothing is replaced."""
    if from_running is not None:
        from reconciler.cli import drafts

        drafts.from_running(from_running, recipe=recipe, domain=domain, name=name, json=json)
        return
    from reconciler.model.printed import Written

    with common.errors():
        written = _write(example=example, engine=engine, port=port)
    if json:
        common.print_json(Written(written=tuple(map(str, written))))
        return
    for path in written:
        common.say(f"wrote {path}")
    if example:
        common.say("now: ci-warm plan, then ci-warm reconcile")
    else:
        common.say(f"now: a spec in {common.OPTIONS.config.parent / 'apps'}, then ci-warm validate (docs/specs.md)")


def _write(*, example: bool, engine: str, port: int) -> list[Path]:
    from reconciler.engine.operate import init as use_case
    from reconciler.model.errors import UsageError

    if engine not in ("embedded", "swarm"):
        raise UsageError(f"--engine {engine!r}: there are embedded and swarm")
    if not example:
        return use_case.init(common.OPTIONS.config)
    from reconciler.demo import example as demo

    return demo.make(common.OPTIONS.config, common.OPTIONS.state, engine=engine, port=port)
