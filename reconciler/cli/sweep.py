"""`sweep`: the nightly pass. Effects: the command before, a pass over the live apps, one report."""

from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag


def sweep(
    again: Annotated[bool, typer.Option("--again", help="even if tonight's came to a good end")] = False,
    json: JsonFlag = False,
) -> None:
    """Do tonight's sweep: the command before it, then a pass over the apps. Exit 1 if anything is red."""
    from reconciler import app as composition
    from reconciler.engine import sweep as engine_sweep

    with common.errors():
        built = common.app()

        def load() -> engine_sweep.Desired:
            # Mistakes that the command before brought are this sweep's, told in its report.
            again_built = composition.build(common.OPTIONS.config, common.OPTIONS.state, clock=built.clock)
            return engine_sweep.Desired(settings=again_built.settings, specs=again_built.specs, ports=again_built.ports)

        first = engine_sweep.Desired(settings=built.settings, specs=built.specs, ports=built.ports)
        held = built.ports.locks.turn("sweep", "ci-warm sweep")
        try:
            report, done = engine_sweep.run(first, load, built.sweeps, built.sweeps, again=again)
        finally:
            held.release()
    if json:
        common.print_json(common.dumped(report))
    else:
        if not done:
            common.say(f"the sweep of {report.date} came to a good end already; --again does it once more")
        for item in report.items:
            common.say(f"{item.name}: {item.result} ({item.elapsed_seconds:.1f} s) {item.detail}")
        for entry in report.apps:
            common.say(f"RECONCILE RESULT: {entry.app} {entry.result}")
    if report.result != "done":
        raise typer.Exit(common.FAILED)
