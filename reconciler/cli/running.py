"""How a command carries a test run out: planned once, queued, followed, told.

Effects: the run; stdout, stderr, exit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from reconciler.cli import common

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.engine.testrun.environment import RunEnvironment
    from reconciler.engine.testrun.plan import RunPlan, RunRequest
    from reconciler.model.app import AppSpec
    from reconciler.model.testrun import Run

_POLL_S = 0.5
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Keeps:
    """Who gets what of a run. `junit`, `artefacts`: copies, None: none; `requests`: ids of who asked."""

    junit: Path | None
    artefacts: Path | None
    requests: tuple[str, ...]


def plan_and_run(
    recipe: str,
    ask: "Callable[[AppSpec], RunRequest]",
    run: "Callable[[RunEnvironment, RunPlan], Run]",
    keeps: Keeps,
    *,
    wait_s: float,
    no_fetch: bool,
    json: bool,
) -> None:
    """Plan once, then queue for up to `wait_s` seconds and run; ends with what came of it."""
    from dataclasses import replace

    from reconciler.cli import run_output
    from reconciler.engine.testrun import plan as testrun_plan

    with common.errors(), host_at_fault():
        run_output.check_targets(keeps.junit, keeps.artefacts)
        built, environment = open_environment()
        spec = environment.enrolled(recipe)
        fetch(built, spec.recipe.url, no_fetch=no_fetch)
        with run_output.following(built.runs.folder) as follower:
            begun = follower.begin if run_output.is_wanted() else lambda _run: None
            request = replace(ask(spec), requests=keeps.requests, begun=begun)
            with telling_who_asked(keeps.requests):
                plan = testrun_plan.plan_run(environment, request)
            done = patiently(built, wait_s, lambda: run(environment, plan))
    folder, lost = built.runs.folder / done.run, ""
    try:
        run_output.hand_over(folder, keeps.junit, keeps.artefacts)
    except OSError as exc:
        lost = f"error: what was asked for of {done.run} cannot be written: {exc}; it is in {folder}"
        typer.echo(lost, err=True)
    tell(done, folder, json=json)
    if lost:
        raise typer.Exit(common.HOST)


@contextmanager
def host_at_fault() -> "Iterator[None]":
    """An engine that does not answer says nothing of the recipe, also before a run is begun."""
    from reconciler.model.errors import ActError, ObserveError

    try:
        yield
    except ObserveError as exc:
        common.stop(common.HOST, f"error: {exc}")
    except ActError as exc:
        # Without the mark it is about what was asked for: a tag that moved, a canonical that is another's.
        common.stop(common.HOST if exc.host_fault else common.FAILED, f"error: {exc}")


@contextmanager
def telling_who_asked(requests: tuple[str, ...]) -> "Iterator[None]":
    """What is refused before it begins leaves no report, so whoever asked is told why in another way."""
    from reconciler.model.errors import ActError, RecipeError, UsageError
    from reconciler.state.asked_tests import AskedTests

    try:
        yield
    except (UsageError, RecipeError, ActError) as exc:
        if isinstance(exc, ActError) and exc.host_fault:
            raise  # which is for the people of the host
        for request in requests:
            AskedTests(common.OPTIONS.state / "asked").refuse(request, str(exc))
        raise


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


def tell(done: "Run", folder: Path, *, json: bool) -> None:
    """The summary or the report; exit 0 only for green, 3 where the host is to blame."""
    from reconciler.core.testrun import summary

    if json:
        from reconciler.model.printed_runs import RunShown

        common.print_json(RunShown.model_validate({**common.dump(done), "folder": str(folder)}))
    else:
        common.say(summary.summary(done).rstrip())
    if done.result == "error":
        raise typer.Exit(common.HOST)
    if done.result != "green" or done.leftovers:
        raise typer.Exit(common.FAILED)
