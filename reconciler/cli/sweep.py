"""`sweep`: the nightly pass. Effects: the command before, a pass over the apps, cold runs, one report."""

from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag


def sweep(
    again: Annotated[bool, typer.Option("--again", help="even if tonight's came to a good end")] = False,
    every: Annotated[bool, typer.Option("--all", help="also releases that are green already; implies --again")] = False,
    json: JsonFlag = False,
) -> None:
    """Do tonight's sweep: the command before it, a pass over the apps, cold runs. Exit 1 if anything is red."""
    from importlib import import_module

    from reconciler import app as composition
    from reconciler.engine.host import sweep as engine_sweep
    from reconciler.engine.testrun import teardown
    from reconciler.ports.progress import Listener

    with common.errors():
        built = common.app()

        def load() -> engine_sweep.Desired:
            # Mistakes that the command before brought are this sweep's, told in its report.
            again_built = composition.build(
                common.OPTIONS.config,
                common.OPTIONS.state,
                listener=Listener(step=built.ports.progress, tell=built.ports.tell),
                clock=built.clock,
            )
            return engine_sweep.Desired(settings=again_built.settings, specs=again_built.specs, ports=again_built.ports)

        first = engine_sweep.Desired(settings=built.settings, specs=built.specs, ports=built.ports)
        held = built.ports.locks.turn("sweep", "ci-warm sweep")
        try:
            teardown.reap(composition.run_environment(built))
            tests = composition.cold_runs(built, common.OPTIONS.config, import_module("reconciler.cli.main").command)
            order = engine_sweep.Order(again=again or every, every=every)
            report, done = engine_sweep.run(first, load, built.sweeps, composition.sweep_command(built), tests, order)
        finally:
            held.release()
    if json:
        common.print_json(report)
    else:
        if not done:
            common.say(f"the sweep of {report.date} came to a good end already; --again does it once more")
        for item in report.items:
            common.say(f"{item.name}: {item.result} ({item.elapsed_seconds:.1f} s) {item.detail}")
        for entry in report.apps:
            common.say(f"RECONCILE RESULT: {entry.app} {entry.result}")
    if report.result == "failed":
        raise typer.Exit(common.FAILED)
