"""`reconcile` and `plan`. Effects: a pass; `plan` only reads."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import JsonFlag, WaitFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.app import App
    from reconciler.engine.live.report import Report
    from reconciler.engine.operate.plan import PlanRow
    from reconciler.model.app import AppSpec
    from reconciler.model.printed import PlanLine

AppsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[APP]...", help="only these apps; default all", autocompletion=names.apps),
]
NoFetch = Annotated[bool, typer.Option("--no-fetch", help="let local tags decide; also CI_WARM_SKIP_FETCH=1")]


def _fetches(no_fetch: bool) -> bool:
    return not (no_fetch or os.environ.get("CI_WARM_SKIP_FETCH") == "1")


def reconcile(
    apps: AppsArgument = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="only what this plan says, and only if nothing moved")
    ] = None,
    no_fetch: NoFetch = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Bring every app one safe step nearer to its spec."""
    from reconciler.engine.host import one_pass

    with common.change("reconcile", " ".join(apps or [])):
        built = common.app()
        only = [built.spec(name).name for name in apps or []]
        _warn_if_empty(built)
        if plan is not None:
            reports = _do_plan(built, plan, only, no_fetch=no_fetch)
        else:
            fetched: dict[str, str] | None = None if _fetches(no_fetch) else {}
            reports = one_pass.run(built.ports, built.settings, built.specs, fetched=fetched, only=only)
        deadline = built.clock.monotonic() + wait
        while (
            busy := [r.status.app for r in reports if r.outcome.result.kind == "busy"]
        ) and built.clock.monotonic() < deadline:
            built.clock.wait(0.2)
            again = {
                r.status.app: r for r in one_pass.run(built.ports, built.settings, built.specs, fetched={}, only=busy)
            }
            reports = [again.get(report.status.app, report) for report in reports]
    if json:
        from reconciler.model.printed import PassRow

        common.print_json([PassRow(**dict(report.status)) for report in reports])
    for report in reports:
        if not json:
            common.say(f"RECONCILE RESULT: {report.status.app} {report.status.result}")
        if not report.outcome.ok or report.outcome.holds or report.outcome.result.kind == "busy":
            for text in report.outcome.evidence:
                typer.echo(f"  {report.status.app}: {text}", err=True)
    if any(report.outcome.result.kind == "busy" for report in reports):
        raise typer.Exit(common.BUSY)
    if not all(report.outcome.ok for report in reports):
        raise typer.Exit(common.FAILED)


def _do_plan(built: "App", path: Path, named: list[str], *, no_fetch: bool) -> "list[Report]":
    """What a plan says, if nothing of it moved, app by app; with the plan no others may be named.

    One app may take long, and the daemon fetches meanwhile: each is compared once more right before its turn.
    """
    from reconciler.engine.host import one_pass
    from reconciler.engine.operate import saved_plan
    from reconciler.model.errors import UsageError

    if named:
        raise UsageError("--plan says which apps; name none beside it")
    saved = saved_plan.load(path)
    saved_plan.refuse_if_moved(
        saved, _plan_rows(built, [built.spec(step.app) for step in saved.apps], no_fetch=no_fetch)
    )
    reports: list[Report] = []
    for step in saved.apps:
        alone = saved.model_copy(update={"apps": (step,)})
        if reports:
            saved_plan.refuse_if_moved(alone, _plan_rows(built, [built.spec(step.app)], no_fetch=True))
        reports += one_pass.run(built.ports, built.settings, built.specs, fetched={}, only=[step.app])
        if reports[-1].outcome.stops_train:
            break  # a rollback stops what comes after it, as in any pass
    return reports


def _warn_if_empty(built: "App") -> None:
    from reconciler.model.errors import UsageError

    if not built.specs:
        raise UsageError(f"no specs in {common.OPTIONS.config.parent / 'apps'}: nothing to reconcile")


def plan(
    apps: AppsArgument = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="what changes: services, images, ports, names of variables, notes")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="save it for reconcile --plan FILE")] = None,
    no_fetch: NoFetch = False,
    json: JsonFlag = False,
) -> None:
    """Show what the next pass would do and what holds it. Exit 0: nothing, 20: changes, 21: held."""
    with common.errors():
        built = common.app()
        _warn_if_empty(built)
        chosen = [built.spec(name) for name in apps] if apps else list(built.specs)
        rows = _plan_rows(built, chosen, no_fetch=no_fetch)
        if out is not None:
            from reconciler.engine.operate import saved_plan

            saved_plan.save(out, rows, built.clock.now(), common.actor())
    if json:
        common.print_json([_plan_json(row) for row in rows])
    else:
        for row in rows:
            _print(row, diff=diff)
    if any(row.unreadable for row in rows):
        raise typer.Exit(common.FAILED)
    if any(row.holds for row in rows):
        raise typer.Exit(common.HELD)
    if any(row.changes for row in rows):
        raise typer.Exit(common.CHANGES)


def _plan_rows(built: "App", chosen: "Sequence[AppSpec]", *, no_fetch: bool) -> "list[PlanRow]":
    from reconciler.engine.host import fetch

    fetched = fetch.begin(built.ports, [s.recipe.url for s in chosen] if _fetches(no_fetch) else ())
    from reconciler.engine.operate import plan as use_case  # while git works

    world, problems = built.ports.engine.look(), fetched()
    return [
        use_case.plan(common.context(built, spec.name, "plan"), world, problems.get(spec.recipe.url)) for spec in chosen
    ]


def _plan_json(row: "PlanRow") -> "PlanLine":
    from reconciler.model.printed import PlanLine

    holds = [hold.to_json() for hold in row.holds]
    result = str(row.result) if row.result else None
    shown = {key: value for key, value in common.fields(row).items() if key != "mark"}
    return PlanLine.model_validate({**shown, "result": result, "holds": holds})


def _print(row: "PlanRow", *, diff: bool) -> None:
    arrow = f" {row.origin or '-'} -> {row.target}" if row.target else ""
    common.say(f"{row.app}: {row.result or row.action}{arrow} ({row.reason})")
    if row.steps and row.changes:
        common.say(f"  steps: {', '.join(row.steps)}")
    if row.images:
        common.say(f"  images: {', '.join(row.images)}")
    if row.disk_bytes:
        common.say(f"  disk needed: {row.disk_bytes / (1 << 20):.1f} MiB")
    for change in row.diff if diff else ():
        common.say(f"  {change}")
    for version, text in row.notes.items() if diff else ():
        common.say(f"  release notes of {version}:")
        for line in text.splitlines():
            common.say(f"    {line}")
    for hold in row.holds:
        common.say(f"  held-{hold.reason}: {hold.detail}")
        common.say(f"    clears when: {hold.clears_when}")
