"""The `ci-warm` program: global options and the list of commands. Effects: exit."""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from reconciler import __version__
from reconciler.adapters import program as this
from reconciler.cli import (
    alerts,
    canonical,
    common,
    decisions,
    demo,
    doctor,
    drafts,
    history,
    init,
    inspect,
    look,
    realm,
    reconcile,
    refusals,
    runs,
    service,
    snapshot,
    sweep,
)

program = typer.Typer(
    name="ci-warm",
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


program.command()(init.init)
program.command()(service.run)
program.command()(service.reload)
program.command()(reconcile.reconcile)
program.command()(reconcile.plan)
program.command()(inspect.explain)
program.command()(inspect.status)
program.command()(inspect.preflight)
program.command()(inspect.validate)
program.command()(inspect.schema)
program.command()(history.history)
program.command()(look.logs)
program.command()(look.wait)
program.command()(decisions.approve)
program.command()(decisions.retry)
program.command()(decisions.suspend)
program.command()(decisions.resume)
program.command()(decisions.undeploy)
program.command()(decisions.rollback)
program.command()(runs.cold)
program.command()(runs.quick)
program.command()(sweep.sweep)
program.command()(service.gc)
program.command("install-units")(service.install_units)
program.command()(doctor.doctor)
program.command()(demo.demo)
program.add_typer(drafts.group, name="import")
program.add_typer(alerts.group, name="alerts")
program.add_typer(snapshot.group, name="snapshot")
program.add_typer(canonical.group, name="canonical")
program.add_typer(runs.group, name="runs")
program.add_typer(realm.group, name="realm")


_RARELY = 50_000
"""New objects before a look for garbage; 700 is Python's own."""

# typer brings a click of its own, or takes the one that is installed: whose class it is, its own subclass knows.
_CannotParse: type[typer.BadParameter] = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def main() -> None:
    """Run the command line."""
    this.remember(sys.argv[0])
    # What is imported stays: looking through it for garbage takes a tenth of a short command's time. The daemon sets
    # it back.
    gc.set_threshold(_RARELY, 10, 10)
    try:
        code = program(prog_name="ci-warm", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # At its end the interpreter would try once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = common.FAILED
    except _CannotParse as exc:
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
