"""`reconcile` and `plan`. Effects: a pass; `plan` only reads."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag, WaitFlag

if TYPE_CHECKING:
    from reconciler.app import App

AppsArgument = Annotated[list[str] | None, typer.Argument(metavar="[APP]...", help="only these apps; default all")]
NoFetch = Annotated[bool, typer.Option("--no-fetch", help="let local tags decide; also CI_WARM_SKIP_FETCH=1")]


def _fetches(no_fetch: bool) -> bool:
    return not (no_fetch or os.environ.get("CI_WARM_SKIP_FETCH") == "1")


def reconcile(
    apps: AppsArgument = None, no_fetch: NoFetch = False, wait: WaitFlag = 0.0, json: JsonFlag = False
) -> None:
    """Bring every app one safe step nearer to its spec."""
    from reconciler.engine.host import one_pass

    with common.errors():
        built = common.app()
        only = [built.spec(name).name for name in apps or []]
        _warn_if_empty(built)
        reports = one_pass.run(built.ports, built.settings, built.specs, fetch=_fetches(no_fetch), only=only)
        deadline = built.clock.monotonic() + wait
        while (
            busy := [r.status.app for r in reports if r.status.result == "busy"]
        ) and built.clock.monotonic() < deadline:
            built.clock.wait(0.2)
            again = {
                r.status.app: r for r in one_pass.run(built.ports, built.settings, built.specs, fetch=False, only=busy)
            }
            reports = [again.get(report.status.app, report) for report in reports]
    if json:
        common.print_json([common.dumped(report.status) for report in reports])
    for report in reports:
        if not json:
            common.say(f"RECONCILE RESULT: {report.status.app} {report.status.result}")
        if not report.outcome.ok or report.outcome.holds or report.status.result == "busy":
            for text in report.outcome.evidence:
                typer.echo(f"  {report.status.app}: {text}", err=True)
    if any(report.status.result == "busy" for report in reports):
        raise typer.Exit(common.BUSY)
    if not all(report.outcome.ok for report in reports):
        raise typer.Exit(common.FAILED)


def _warn_if_empty(built: "App") -> None:
    if not built.specs:
        common.stop(common.USAGE, f"error: no specs in {common.OPTIONS.config.parent / 'apps'}: nothing to reconcile")


def plan(apps: AppsArgument = None, no_fetch: NoFetch = False, json: JsonFlag = False) -> None:
    """Show what the next pass would do and what holds it. Exit 0: nothing, 20: changes, 21: held."""
    from reconciler.engine.host import one_pass
    from reconciler.engine.live.plan import consider
    from reconciler.model.errors import StateError

    rows: list[dict[str, Any]] = []
    with common.errors():
        built = common.app()
        _warn_if_empty(built)
        chosen = [built.spec(name) for name in apps] if apps else list(built.specs)
        world = built.ports.engine.look()
        problems = one_pass.fetch_all(built.ports, [s.recipe.url for s in chosen]) if _fetches(no_fetch) else {}
        for spec in chosen:
            context = common.context(built, spec.name, "plan")
            try:
                rows.append(_row(context, consider(context, world, problems.get(spec.recipe.url), remember=False)))
            except StateError as exc:  # one record that is not to be trusted hides no other app
                rows.append(_unreadable(context, exc))
    if json:
        common.print_json(rows)
    else:
        for row in rows:
            _print(row)
    if any(row["result"] == "held-state" for row in rows):
        raise typer.Exit(common.FAILED)
    if any(row["holds"] for row in rows):
        raise typer.Exit(common.HELD)
    if any(row["changes"] for row in rows):
        raise typer.Exit(common.CHANGES)


def _unreadable(context: Any, exc: Exception) -> dict[str, Any]:
    return {
        "app": context.app,
        "status": "unknown",
        "reason": str(exc),
        "action": "nothing",
        "result": "held-state",
        "from": None,
        "to": None,
        "changes": False,
        "holds": [],
        "images": [],
        "disk_bytes": 0,
        "steps": [],
    }


def _row(context: Any, considered: Any) -> dict[str, Any]:
    from reconciler.engine.live.preflight import room_problem
    from reconciler.engine.live.report import hold_json
    from reconciler.model.action import Nothing

    action, studied = considered.plan.action, considered.studied
    rendered = studied.rendered if studied else None
    room = room_problem(context, list(rendered.volumes.values()))[0] if rendered and context.spec.stateful else None
    known = considered.facts.known
    return {
        "app": context.app,
        "status": considered.assessment.status,
        "reason": considered.assessment.reason,
        "action": type(action).__name__.lower(),
        "result": action.result if isinstance(action, Nothing) else None,
        "from": known.release.version if known else considered.canonical.version if considered.canonical else None,
        "to": getattr(action, "target", None),
        "changes": (not isinstance(action, Nothing) or bool(considered.plan.steps)) and not considered.plan.holds,
        "holds": [hold_json(hold) for hold in considered.plan.holds],
        "images": sorted(set(rendered.images.values())) if rendered else [],
        "disk_bytes": int(room.used * context.settings.limits.reserve) if room else 0,
        "steps": list(considered.plan.steps),
    }


def _print(row: dict[str, Any]) -> None:
    arrow = f" {row['from'] or '-'} -> {row['to']}" if row["to"] else ""
    what = row["result"] or row["action"]
    common.say(f"{row['app']}: {what}{arrow} ({row['reason']})")
    if row["steps"] and row["changes"]:
        common.say(f"  steps: {', '.join(row['steps'])}")
    if row["images"]:
        common.say(f"  images: {', '.join(row['images'])}")
    if row["disk_bytes"]:
        common.say(f"  disk needed: {row['disk_bytes'] / (1 << 20):.1f} MiB")
    for hold in row["holds"]:
        common.say(f"  held-{hold['reason']}: {hold['detail']}")
        common.say(f"    clears when: {hold['clears_when']}")
