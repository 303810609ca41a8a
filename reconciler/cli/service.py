"""`run`, `reload`, `gc`, `install-units`: the daemon and what belongs to it. Effects: the engine; unit files."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag


def run() -> None:
    """Run for ever: look, do the next safe thing, again. Ends at the next safe step on SIGTERM."""
    import gc
    import signal

    from reconciler import daemon_app, logs

    gc.set_threshold(700, 10, 10)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    with common.errors():
        common.check_config()
        os.umask(0o077)
        logs.configure(verbose=common.OPTIONS.verbose, service=True)
        with daemon_app.daemon(common.OPTIONS.config, common.OPTIONS.state) as daemon:
            daemon.install_signals()
            daemon.run()
    sys.stdout.flush()
    # A fetch from a forge that hangs would keep the interpreter waiting for its thread.
    os._exit(common.FINE)


def reload(json: JsonFlag = False) -> None:
    """Check settings and specs, then tell the daemon to read them again. With mistakes: exit 2, nothing is told."""
    import signal

    from reconciler.model.errors import UsageError
    from reconciler.state import locks, specs

    with common.errors():
        common.check_config()
        found = specs.read_everything(common.OPTIONS.config)
        pid = locks.holder_pid(common.OPTIONS.state / "daemon.lock")
        if pid is None:
            raise UsageError("no daemon runs here; systemctl start ci-warm, or ci-warm run")
        os.kill(pid, signal.SIGHUP)
    if json:
        from reconciler.model.printed import Reloaded

        common.print_json(Reloaded(pid=pid, specs=len(found)))
    else:
        common.say(f"the daemon (pid {pid}) reads {len(found)} specs again")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, json: JsonFlag = False
) -> None:
    """Remove old images of our apps and dangling ones, if no app, fallback or service needs them. Never volumes."""
    from reconciler.engine.host import image_gc as engine_gc

    with common.errors():
        built = common.app()
        done = engine_gc.collect(built.ports, built.settings, built.specs, dry_run=dry_run)
    if json:
        from reconciler.model.printed import Collected

        data = {"removed": common.fields(done)["removed"], "refused": common.fields(done)["refused"]}
        more = {"dry_run": dry_run, "skipped": done.skipped, "freed_bytes": done.freed}
        common.print_json(Collected.model_validate(data | more))
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


def install_units(
    into: Annotated[Path, typer.Option("--into", help="folder of units")] = Path("/etc/systemd/system"),
    program: Annotated[str, typer.Option("--program", help="path of ci-warm; default: this one")] = "",
    show: Annotated[bool, typer.Option("--print", help="print them instead")] = False,
    json: JsonFlag = False,
) -> None:
    """Write the systemd units: the daemon, the nightly sweep with its timer, and a target for both."""
    from reconciler.adapters import units

    with common.errors():
        path = program or _this_program()
        if show:
            for name, text in units.texts(path).items():
                common.say(f"# {name}\n{text}")
            return
        written = units.install(into, path)
    if json:
        from reconciler.model.printed import Written

        common.print_json(Written(written=tuple(map(str, written))))
        return
    for unit in written:
        common.say(f"wrote {unit}")
    common.say("now: systemctl daemon-reload && systemctl enable --now ci-warm.target")


def _this_program() -> str:
    """Where the script that runs is installed.

    Raises:
        UsageError: it is no script that systemd could start.
    """
    from reconciler.adapters import program
    from reconciler.model.errors import UsageError

    words = program.argv()
    if len(words) == 1:
        return words[0]
    beside = Path(sys.executable).with_name("ci-warm")
    if not beside.is_file():
        raise UsageError(f"{' '.join(words)} is not one program that a unit can name; --program says which is")
    return str(beside)
