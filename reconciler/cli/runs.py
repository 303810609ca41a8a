"""`cold`, `quick` and `runs list|show|reap`. Effects: test runs; reports on stdout, talk on stderr."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, names, running
from reconciler.cli.common import JsonFlag, WaitFlag

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.engine.testrun.plan import RunRequest
    from reconciler.model.app import AppSpec
    from reconciler.model.testrun import Run
    from reconciler.model.tests import Stage

group = typer.Typer(help="Reports of test runs, and what killed ones left.", no_args_is_help=True)

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="name of the canonical", autocompletion=names.recipes)
]
RefOption = Annotated[str | None, typer.Option("--ref", help="tag, branch, commit or refs/...; default latest")]
AtOption = Annotated[str, typer.Option("--at", metavar="COMMIT", help="refuse if --ref leads to another commit")]
NoFetch = Annotated[bool, typer.Option("--no-fetch", help="let the local mirror decide")]
SlotFlag = Annotated[bool, typer.Option("--wait-for-slot", help="wait as long as it takes for a place")]
JunitOption = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="write the result as JUnit XML")]
ArtefactsOption = Annotated[
    Path | None, typer.Option("--artefacts", metavar="DIR", help="copy report, logs and artefacts into an empty folder")
]
RequestOption = Annotated[list[str] | None, typer.Option("--request", hidden=True)]


def cold(
    recipe: RecipeArgument,
    ref: RefOption = None,
    at: AtOption = "",
    base: Annotated[str | None, typer.Option("--base", help="what the upgrade starts from")] = None,
    stages: Annotated[str, typer.Option("--stages", help="comma-separated; default all")] = "",
    keep: Annotated[bool, typer.Option("--keep-on-failure", help="leave a red run up to look at")] = False,
    no_fetch: NoFetch = False,
    wait: WaitFlag = 0.0,
    wait_for_slot: SlotFlag = False,
    junit: JunitOption = None,
    artefacts: ArtefactsOption = None,
    request: RequestOption = None,
    json: JsonFlag = False,
) -> None:
    """Test a recipe from nothing, stage by stage; a green full run at the latest release becomes the canonical.

    Exit 1: the recipe is at fault; 3: the host.
    """
    from reconciler.engine.testrun import cold as runs
    from reconciler.engine.testrun import plan as testrun_plan

    def ask(spec: "AppSpec") -> "RunRequest":
        return testrun_plan.RunRequest(
            spec=spec,
            ref=ref,
            at=_commit(at),
            base=base,
            stages=_stages(stages),
            keep_on_failure=keep,
            actor=common.actor(),
        )

    patience_s = float("inf") if wait_for_slot else wait
    keeps = running.Keeps(junit=junit, artefacts=artefacts, requests=tuple(request or ()))
    running.plan_and_run(recipe, ask, runs.run, keeps, wait_s=patience_s, no_fetch=no_fetch, json=json)


def quick(
    recipe: RecipeArgument,
    ref: RefOption = None,
    at: AtOption = "",
    no_fetch: NoFetch = False,
    wait: WaitFlag = 0.0,
    wait_for_slot: SlotFlag = False,
    junit: JunitOption = None,
    artefacts: ArtefactsOption = None,
    request: RequestOption = None,
    json: JsonFlag = False,
) -> None:
    """Test a head on the canonical's data: known-good, upgraded in place. Lower confidence; never promotes.

    Exit 1: the recipe is at fault; 3: the host.
    """
    from reconciler.engine.testrun import plan as testrun_plan
    from reconciler.engine.testrun import quick as runs
    from reconciler.model.testrun import RunMode

    def ask(spec: "AppSpec") -> "RunRequest":
        return testrun_plan.RunRequest(spec=spec, mode=RunMode.QUICK, ref=ref, at=_commit(at), actor=common.actor())

    patience_s = float("inf") if wait_for_slot else wait
    keeps = running.Keeps(junit=junit, artefacts=artefacts, requests=tuple(request or ()))
    running.plan_and_run(recipe, ask, runs.run, keeps, wait_s=patience_s, no_fetch=no_fetch, json=json)


def _commit(text: str) -> str:
    import re

    from reconciler.model.errors import UsageError

    if text and not re.fullmatch(r"[0-9a-f]{7,64}", text):
        raise UsageError(f"--at {text}: a commit is 7 to 64 digits of 0-9a-f")
    return text


def _stages(text: str) -> "tuple[Stage, ...] | None":
    from reconciler.model.errors import UsageError
    from reconciler.model.tests import STAGES, Stage

    if not text:
        return None
    try:
        return tuple(Stage(name.strip()) for name in text.split(","))
    except ValueError as exc:
        raise UsageError(f"--stages {text}: {exc}; there are: {', '.join(STAGES)}") from exc


@group.command("list")
def list_(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", autocompletion=names.recipes)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="newest so many")] = 20,
    json: JsonFlag = False,
) -> None:
    """List runs, newest first."""
    from reconciler import app as composition

    with common.errors():
        built = common.app()
        found = [run for run in built.runs.reports() if recipe in (None, run.app)][:limit]
        if recipe is not None and not found:
            composition.run_environment(built).enrolled(recipe)
    if json:
        common.print_json(found)
        return
    rows = [
        (
            run.run,
            run.app,
            run.mode,
            _result(built, run),
            f"level {run.level}/{run.level_cap}",
            run.head.version,
            f"{run.started_at:%Y-%m-%d %H:%M}",
            f"{run.elapsed_seconds:.0f} s",
            "promoted" if run.promoted else "" if run.torn_down else "not torn down",
        )
        for run in found
    ]
    columns = ("run", "recipe", "mode", "result", "level", "head", "started (UTC)", "took", "")
    common.print_table(columns, rows)


def _result(built: "App", run: "Run") -> str:
    dead = run.result == "running" and not built.runs.is_alive(run.run)
    return "running, but its process is dead: runs reap" if dead else str(run.result)


@group.command()
def show(run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=names.runs)], json: JsonFlag = False) -> None:
    """Show one run's summary and where its logs lie."""
    from reconciler.core.testrun import summary
    from reconciler.model.errors import UsageError

    with common.errors():
        built = common.app()
        found = built.runs.report(run)
        if found is None:
            raise UsageError(f"there is no run {run!r}; ci-warm runs list shows them")
    if json:
        from reconciler.model.printed_runs import RunShown

        folder = str(built.runs.folder / run)
        common.print_json(RunShown.model_validate({**common.dump(found), "folder": folder}))
        return
    common.say(summary.summary(found).rstrip())
    common.say(f"logs, junit.xml, artefacts: {built.runs.folder / run}")


@group.command()
def reap(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="this one, also if it is kept", autocompletion=names.runs)
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Remove what dead runs left: stacks, volumes, secrets, networks. Never a run that lives, never anything else."""
    from reconciler import app as composition
    from reconciler.engine.testrun import teardown
    from reconciler.model.errors import UsageError

    with common.errors():
        built = common.app()
        if run is not None and built.runs.report(run) is None:
            raise UsageError(f"there is no run {run!r}; ci-warm runs list shows them")
        done = teardown.reap(composition.run_environment(built), only=run)
    if json:
        from reconciler.model.printed_runs import RunsReaped

        common.print_json(RunsReaped(**common.fields(done)))
    for name in () if json else done.removed:
        common.say(f"removed what {name} left")
    for kind in () if json else ("alive", "kept", "failed"):
        for name in getattr(done, kind):
            common.say(f"{kind}: {name}")
    if not json and not (done.removed or done.alive or done.kept or done.failed):
        common.say("no run left anything")
    if done.failed:
        raise typer.Exit(common.FAILED)
