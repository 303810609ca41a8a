"""`cold`, `quick` and `runs list|show|reap`. Effects: test runs; reports on stdout, talk on stderr."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from reconciler.cli import common, names
from reconciler.cli.common import JsonFlag, WaitFlag

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.engine.testrun.environment import RunEnvironment
    from reconciler.engine.testrun.plan import RunPlan, RunRequest
    from reconciler.model.app import AppSpec
    from reconciler.model.testrun import Run
    from reconciler.model.tests import Stage

group = typer.Typer(help="Reports of test runs, and what killed ones left.", no_args_is_help=True)

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="name of the canonical", autocompletion=names.recipes)
]
_POLL_S = 0.5
R = TypeVar("R")


def cold(
    recipe: RecipeArgument,
    ref: Annotated[str | None, typer.Option("--ref", help="tag, branch, commit or refs/...; default latest")] = None,
    base: Annotated[str | None, typer.Option("--base", help="what the upgrade starts from")] = None,
    stages: Annotated[str, typer.Option("--stages", help="comma-separated; default all")] = "",
    keep: Annotated[bool, typer.Option("--keep-on-failure", help="leave a red run up to look at")] = False,
    no_fetch: Annotated[bool, typer.Option("--no-fetch", help="let the local mirror decide")] = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Test a recipe from nothing, stage by stage; a green full run at the latest release becomes the canonical."""
    from reconciler.engine.testrun import cold as runs
    from reconciler.engine.testrun import plan as testrun_plan

    def ask(spec: "AppSpec") -> testrun_plan.RunRequest:
        return testrun_plan.RunRequest(
            spec=spec, ref=ref, base=base, stages=_stages(stages), keep_on_failure=keep, actor=common.actor()
        )

    tell(_plan_and_run(recipe, ask, runs.run, no_fetch=no_fetch, wait=wait), json=json)


def quick(
    recipe: RecipeArgument,
    ref: Annotated[str | None, typer.Option("--ref", help="tag, branch, commit or refs/...; default latest")] = None,
    no_fetch: Annotated[bool, typer.Option("--no-fetch", help="let the local mirror decide")] = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Test a head on the canonical's data: known-good, upgraded in place. Lower confidence; never promotes."""
    from reconciler.engine.testrun import plan as testrun_plan
    from reconciler.engine.testrun import quick as runs
    from reconciler.model.testrun import RunMode

    def ask(spec: "AppSpec") -> testrun_plan.RunRequest:
        return testrun_plan.RunRequest(spec=spec, mode=RunMode.QUICK, ref=ref, actor=common.actor())

    tell(_plan_and_run(recipe, ask, runs.run, no_fetch=no_fetch, wait=wait), json=json)


def _plan_and_run(
    recipe: str,
    ask: "Callable[[AppSpec], RunRequest]",
    run: "Callable[[RunEnvironment, RunPlan], Run]",
    *,
    no_fetch: bool,
    wait: float,
) -> "Run":
    """Plan once, then queue and run."""
    from reconciler.engine.testrun import plan as testrun_plan

    with common.errors():
        built, environment = open_environment()
        request = ask(environment.enrolled(recipe))
        fetch(built, request.spec.recipe.url, no_fetch=no_fetch)
        plan = testrun_plan.plan_run(environment, request)
        return patiently(built, wait, lambda: run(environment, plan))


def open_environment() -> "tuple[App, RunEnvironment]":
    """The app and its test environment; whatever killed runs left is removed first."""
    from reconciler import app as composition
    from reconciler.engine.testrun import teardown

    built = common.app()
    environment = composition.run_environment(built)
    teardown.reap(environment)
    return built, environment


def fetch(built: "App", url: str, *, no_fetch: bool) -> None:
    """Bring the mirror up to date; a forge that is away costs nothing that was fetched before."""
    import os

    from reconciler.model.errors import RecipeError

    if no_fetch or os.environ.get("CI_WARM_SKIP_FETCH") == "1":
        return
    try:
        built.ports.recipes.fetch(url)
    except RecipeError as exc:
        typer.echo(f"warning: {exc}", err=True)


def patiently(built: "App", wait: float, work: "Callable[[], R]") -> "R":
    """Queue for what is busy, up to `wait` seconds.

    Raises:
        LockBusy: it still is.
    """
    from reconciler.model.errors import Interrupted
    from reconciler.state.locks import wait_until_free

    def once() -> "R":
        try:
            return work()
        except Interrupted as exc:
            common.say(str(exc))
            common.stop(common.FAILED, "stopped; everything of the run was removed first")

    try:
        return wait_until_free(built.clock, wait, _POLL_S, once)
    except Interrupted:
        common.stop(common.FAILED, "stopped while it waited for its turn; nothing was begun")


def _stages(text: str) -> "tuple[Stage, ...] | None":
    from reconciler.model.errors import UsageError
    from reconciler.model.tests import STAGES, Stage

    if not text:
        return None
    try:
        return tuple(Stage(name.strip()) for name in text.split(","))
    except ValueError as exc:
        raise UsageError(f"--stages {text}: {exc}; there are: {', '.join(STAGES)}") from exc


def tell(done: "Run", *, json: bool) -> None:
    """The summary or the report; exit 0 only for green."""
    from reconciler.core.testrun import summary

    if json:
        common.print_json(done)
    else:
        common.say(summary.summary(done).rstrip())
    if done.result != "green" or done.leftovers:
        raise typer.Exit(common.FAILED)


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
        common.print_json(found)
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
        from reconciler.model.printed import RunsReaped

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
