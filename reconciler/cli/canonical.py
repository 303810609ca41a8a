"""`canonical list|seed|deploy|undeploy`. Effects: a canonical's stack and records."""

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, running
from reconciler.cli.common import JsonFlag, WaitFlag
from reconciler.cli.runs import RecipeArgument

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.engine.context import Context
    from reconciler.model.testrun import Run

group = typer.Typer(help="Data-warm canonicals: one per enrolled recipe.", no_args_is_help=True)


def _open(recipe: str) -> "tuple[App, Context]":
    from reconciler import app as composition
    from reconciler.engine.context import Context

    built = common.app()
    spec = composition.run_environment(built).enrolled(recipe)
    return built, Context(ports=built.ports, settings=built.settings, spec=spec, actor=common.actor())


@group.command("list")
def list_(json: JsonFlag = False) -> None:
    """List canonicals: version, status (idle, in-use, dirty, cold) and snapshot."""
    from reconciler.engine.canonical import operate as canonical_operate
    from reconciler.engine.context import Context
    from reconciler.model.app import Kind

    with common.errors():
        built = common.app()
        specs = [spec for spec in built.specs if spec.kind is Kind.CANONICAL]
        world = built.ports.engine.look()
        rows = [
            canonical_operate.describe(
                Context(ports=built.ports, settings=built.settings, spec=spec, actor="list"), world
            )
            for spec in specs
        ]
    if json:
        from reconciler.model.printed_runs import CanonicalRow

        common.print_json([CanonicalRow(**common.fields(row)) for row in rows])
        return
    columns = ("canonical", "status", "version", "domain", "snapshot", "bytes")
    common.print_table(
        columns, [(r.app, r.status, r.version or "-", r.domain, r.snapshot or "-", r.bytes) for r in rows]
    )


@group.command()
def seed(
    recipe: RecipeArgument,
    wait: WaitFlag = 0.0,
    if_cold: Annotated[bool, typer.Option("--if-cold", help="do nothing if it is warm when its turn comes")] = False,
    json: JsonFlag = False,
) -> None:
    """Warm a canonical from nothing, or anew: a full cold run at the latest release, promoted if it is green."""
    from reconciler.engine.canonical import operate as canonical_operate
    from reconciler.engine.testrun import cold, plan

    with common.change("canonical seed", recipe):
        built, environment = running.open_environment()
        request = plan.RunRequest(spec=environment.enrolled(recipe), actor=common.actor())
        running.fetch(built, request.spec.recipe.url, no_fetch=False)
        plan.plan_run(environment, request)  # what cannot be planned need not queue
        _, context = _open(recipe)

        def once() -> "Run | None":
            # Another run may have warmed it, or a release come, while this one queued.
            if if_cold and canonical_operate.describe(context, built.ports.engine.look()).status != "cold":
                return None
            # Planning starts processes: not while all places are taken.
            environment.ports.locks.slot(built.settings.runs.max_tests, f"ci-warm seed {recipe}").release()
            return cold.run(environment, plan.plan_run(environment, request))

        done = running.patiently(built, wait, once)
    if done is not None:
        running.tell(done, built.runs.folder / done.run, json=json)
    elif json:
        from reconciler.model.printed_runs import CanonicalWarm

        common.print_json(CanonicalWarm(app=recipe))
    else:
        common.say(f"{recipe}: warm already")


@group.command()
def deploy(
    recipe: RecipeArgument,
    fresh: Annotated[bool, typer.Option("--fresh", help="put the data back to the snapshot first")] = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Bring a canonical up at its known-good version, on its data as it is."""
    from reconciler.engine.canonical import operate as canonical_operate
    from reconciler.model.errors import Interrupted

    with common.change("canonical deploy", recipe):
        built, context = _open(recipe)
        with common.hold_lock(built, recipe, "canonical deploy", wait):
            try:
                done = canonical_operate.deploy(context, fresh=fresh)
            except Interrupted:
                common.stop(common.FAILED, f"stopped; {recipe} is down again")
    if json:
        from reconciler.model.printed_runs import CanonicalUp

        domain, stack = context.spec.domain, done.stack
        common.print_json(CanonicalUp(app=recipe, version=done.version, domain=domain, stack=stack))
        return
    common.say(f"{recipe}: {done.version} runs at {context.spec.domain}; ci-warm canonical undeploy {recipe} ends it")


@group.command()
def undeploy(
    recipe: RecipeArgument,
    restore: Annotated[bool, typer.Option("--restore", help="and put the data back to the snapshot")] = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Take a canonical down; its data stays as it is."""
    from reconciler.engine.canonical import operate as canonical_operate

    with common.change("canonical undeploy", recipe):
        built, context = _open(recipe)
        with common.hold_lock(built, recipe, "canonical undeploy", wait):
            restored = canonical_operate.undeploy(context, restore=restore)
            row = canonical_operate.describe(context, built.ports.engine.look())
    if json:
        from reconciler.model.printed_runs import CanonicalRow

        common.print_json(CanonicalRow(**common.fields(row)))
        return
    data = "data as in the snapshot" if restored else "there is no snapshot to restore" if restore else "data kept"
    common.say(f"{recipe}: undeployed, {data}")
