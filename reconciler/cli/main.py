"""The `ci-warm` program: global options; `commands` has the list of commands. Effects: exit."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from reconciler import __version__
from reconciler.adapters import program as this
from reconciler.cli import common, on_demand

program = typer.Typer(
    name="ci-warm",
    cls=on_demand.ByTask,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keeps apps on a Docker Swarm host at their newest safe release; version and data roll back together.",
)


def _version(value: bool) -> None:
    if value:
        common.say(f"ci-warm {__version__}")
        raise typer.Exit


@program.callback()
def options(
    config: Annotated[
        Path,
        typer.Option(
            "--config", envvar="CI_WARM_CONFIG", readable=False, help="settings; specs lie in apps/ beside it"
        ),
    ] = common.OPTIONS.config,
    state_dir: Annotated[
        Path,
        typer.Option("--state-dir", envvar="CI_WARM_STATE_DIR", readable=False, help="where ci-warm keeps its records"),
    ] = common.OPTIONS.state,
    verbose: Annotated[bool, typer.Option("--verbose", help="log more")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Take the global options."""
    del version
    common.OPTIONS.config, common.OPTIONS.state, common.OPTIONS.verbose = config, state_dir, verbose


# typer brings a click of its own, or takes the one that is installed: whose class it is, its own subclass knows.
_CannotParse: type[typer.BadParameter] = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def main() -> None:
    """Run the command line."""
    this.remember(sys.argv[0])
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if common.COMPLETE in os.environ:
        # typer answers a shell; not part of a usual start, for which it would be slow.
        from reconciler.cli import completion

        completion.prepare()
    try:
        code = program(prog_name="ci-warm", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # At its end the interpreter would try once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = common.FAILED
    except _CannotParse as exc:
        from reconciler.cli import refusals

        exc.show()
        refusals.record_unparsed(exc.ctx.command_path if exc.ctx is not None else "", exc.format_message())
        code = common.USAGE
    except typer.Abort:
        typer.echo("aborted", err=True)
        code = common.FAILED
    sys.exit(code)


def command(words: Sequence[str]) -> None:
    """Run one command line in this process; ends as it does."""
    program(list(words), prog_name="ci-warm")
