"""`realm list|reap|run`. Effects: realms of the shared single sign-on."""

import os
import subprocess
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import JsonFlag

if TYPE_CHECKING:
    from reconciler.engine.testrun.realms import RealmContext

group = typer.Typer(help="A realm per run on the shared Keycloak.", no_args_is_help=True)


def _open() -> "RealmContext":
    from reconciler import app as composition

    return composition.realm_context(common.app())


@group.command("list")
def list_(json: JsonFlag = False) -> None:
    """List realms: those of runs that live, those that are dead, and those that are not ours."""
    from reconciler.engine.testrun import realms

    with common.errors():
        found = realms.survey(_open())
    kinds = {"alive": found.alive, "dead": found.dead, "foreign": found.foreign}
    if json:
        from reconciler.model.printed_runs import RealmsFound

        common.print_json(RealmsFound(**common.fields(found)))
        return
    rows = [(name, kind) for kind, names in kinds.items() for name in names]
    common.print_table(("realm", "state"), sorted(rows))


@group.command()
def reap(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, json: JsonFlag = False
) -> None:
    """Delete the realms of dead runs; never master, never a foreign one, never one whose run is just starting."""
    from reconciler.engine.testrun import realms

    with common.errors():
        done = realms.reap(_open(), dry_run=dry_run)
    if json:
        from reconciler.model.printed_runs import RealmsReaped

        common.print_json(RealmsReaped(dry_run=dry_run, **common.fields(done)))
        return
    for name in done.removed:
        common.say(f"{'would delete' if dry_run else 'deleted'} realm {name}")
    if not done.removed:
        common.say("no realm of a dead run")


@group.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE -- COMMAND...", autocompletion=names.recipes)],
) -> None:
    """Run a command with a realm of its own; it is deleted afterwards. Exits as the command does.

    The command gets CI_WARM_REALM, CI_WARM_ISSUER, and in CI_WARM_CREDENTIALS a file that only root can read.
    """
    from reconciler.engine.testrun import realms
    from reconciler.model.errors import UsageError

    with common.errors():
        if not context.args:
            raise UsageError("no command to run; ci-warm realm run RECIPE -- COMMAND")
        realm_context = _open()
        with realms.lease(realm_context, recipe) as lease:
            typer.echo(f"using the live Keycloak: realm {lease.credentials.realm}", err=True)
            environment = {
                "CI_WARM_REALM": lease.credentials.realm,
                "CI_WARM_ISSUER": lease.credentials.issuer,
                "CI_WARM_CREDENTIALS": lease.file,
            }
            code = _run(context.args, environment)
        typer.echo(f"deleted realm {lease.credentials.realm}", err=True)
    raise typer.Exit(code)


def _run(argv: list[str], environment: dict[str, str]) -> int:
    """In our own process group, so that Ctrl-C reaches it; we go on afterwards and clean up."""
    import signal

    from reconciler.adapters import process

    try:
        child = subprocess.Popen(argv, env=os.environ | environment, umask=process.OPEN_UMASK)
    except OSError as exc:
        typer.echo(f"error: {argv[0]} cannot be started: {exc.strerror}", err=True)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: child.send_signal(got))
    code = child.wait()
    return 128 - code if code < 0 else code
