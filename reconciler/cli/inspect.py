"""Reading commands: `explain`, `status`, `preflight`, `validate`, `schema`. Effects: reads, stdout."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import common
from reconciler.cli.common import AppArgument, JsonFlag

_WATCH_S = 0.5


def explain(
    app: AppArgument, no_fetch: Annotated[bool, typer.Option("--no-fetch")] = False, json: JsonFlag = False
) -> None:
    """Say in one screen why an app is as it is and why it does not move on."""
    from reconciler.engine import fleet
    from reconciler.engine.consider import consider
    from reconciler.engine.report import hold_json

    with common.errors():
        built = common.app()
        context = common.context(built, app, "explain")
        url = context.spec.recipe.url
        problems = {} if no_fetch else fleet.fetch_all(built.ports, [url])
        seen = consider(context, built.ports.engine.look(), problems.get(url), remember=False)
        known, facts, canonical = seen.facts.known, seen.facts, seen.canonical
        is_canonical = context.spec.kind == "canonical"
        answer = {
            "app": app,
            "kind": context.spec.kind,
            "status": seen.assessment.status,
            "reason": seen.assessment.reason,
            "known_good": known.release.version if known else canonical.version if canonical else None,
            "since": _since(known.at if known else canonical.ts if canonical else None),
            "fallback": known.fallback.release.version if known and known.fallback else None,
            "candidate": facts.choice.candidate.text if facts.choice.candidate else None,
            "next": _next_of_canonical(seen) if is_canonical else type(seen.plan.action).__name__.lower(),
            "probe": facts.answer.detail if facts.answer else None,
            "holds": [hold_json(hold) for hold in seen.plan.holds],
            "approved": [a.version for a in facts.memory.approvals if a.used_at is None],
            "clear": _clear(seen),
            "evidence": [
                *seen.assessment.evidence,
                *facts.evidence,
                *([facts.recipe_problem] if facts.recipe_problem else []),
            ],
            "alerts": [path.name for path, alert in built.alerts.open() if alert.app == app],
            "last": [_ended(line) for line in built.history.lines() if line.app == app][-3:],
        }
    if json:
        common.print_json(answer)
        return
    _explain(answer)


def _next_of_canonical(seen: Any) -> str:
    newest, canonical = seen.facts.choice.candidate, seen.canonical
    if seen.plan.steps or newest is None or canonical is None or newest.text == canonical.version:
        return ", ".join(seen.plan.steps) or "nothing"
    return f"nothing in a pass; the sweep tests {newest.text}, or ci-warm cold {canonical.app}"


def _ended(line: Any) -> str:
    """How something ended; of a run also its name, for `runs show`."""
    run = line.op_id.removeprefix("run-") if line.op_id.startswith("run-") else ""
    return f"{line.result} ({run})" if run else str(line.result)


def _since(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _clear(seen: Any) -> list[str]:
    """The hold reasons that do not apply: what was looked at and found good."""
    from reconciler.model.verdict import HoldReason

    if seen.studied is None:
        return []
    held = {hold.reason for hold in seen.plan.holds}
    return [
        reason
        for reason in HoldReason
        if reason not in held and reason not in (HoldReason.STATE, HoldReason.TRAIN_STOPPED)
    ]


def _explain(answer: dict[str, Any]) -> None:
    common.say(f"{answer['app']} ({answer['kind']}): {answer['status']}, {answer['reason']}")
    common.say(
        f"  known-good  {answer['known_good'] or 'none'}" + (f", since {answer['since']}" if answer["since"] else "")
    )
    common.say(f"  way back    {answer['fallback'] or 'none'}")
    common.say(f"  newest      {answer['candidate'] or 'none'}")
    if answer["probe"]:
        common.say(f"  probe       {answer['probe']}")
    common.say(f"  next        {answer['next']}{' (held)' if answer['holds'] else ''}")
    for hold in answer["holds"]:
        common.say(f"  why not yet: {hold['reason']}: {hold['detail']}")
        common.say(f"      clears when: {hold['clears_when']}")
    if answer["approved"]:
        common.say(f"  approved: {', '.join(answer['approved'])}")
    if answer["clear"]:
        common.say(f"  not held by: {', '.join(answer['clear'])}")
    for text in answer["evidence"]:
        common.say(f"  seen: {text}")
    for name in answer["alerts"]:
        common.say(f"  alert: {name}")
    if answer["last"]:
        common.say(f"  last outcomes: {', '.join(answer['last'])}")


def status(
    watch: Annotated[bool, typer.Option("--watch", help="go on, and show each new pass until Ctrl-C")] = False,
    json: JsonFlag = False,
) -> None:
    """Show the published result of the last pass; needs no engine and no root."""
    shown = _status(json, missing_is_fine=watch)
    try:
        while watch:
            sys.stdout.flush()  # into a pipe or a file too
            time.sleep(_WATCH_S)
            if _stamp() != shown:
                shown = _status(json, missing_is_fine=True)
    except KeyboardInterrupt:
        common.stop(common.FINE)


def _stamp() -> int:
    path = common.OPTIONS.state / "status.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def _status(json: bool, *, missing_is_fine: bool) -> int:
    """Print the report as it stands; gives what it was stamped with."""
    from reconciler.adapters import records
    from reconciler.adapters.alerts import AlertFolder
    from reconciler.model.reports import StatusReport

    with common.errors():
        stamp = _stamp()
        report = records.read(common.OPTIONS.state / "status.json", StatusReport)
    if report is None:
        text = f"no pass has published a status in {common.OPTIONS.state} yet"
        common.stop(common.FAILED, text) if not missing_is_fine else typer.echo(text, err=True)
        return stamp
    if json:
        common.print_json(common.dumped(report))
        return stamp
    since = {a.app: a.first_at for _, a in AlertFolder(common.OPTIONS.state / "alerts").open() if "held-" in a.reason}
    rows = [
        (
            a.app, a.status, a.result, a.known_good or "-", ", ".join(str(h["reason"]) for h in a.holds),
            f"{since[a.app]:%Y-%m-%d %H:%M}" if a.holds and a.app in since else "",
        )
        for a in report.apps
    ]  # fmt: skip
    common.say(f"last pass {report.at:%Y-%m-%d %H:%M:%S} UTC, {report.elapsed_seconds} s, {report.engine}")
    common.print_table(("app", "status", "result", "known-good", "held by", "since (UTC)"), rows)
    return stamp


def preflight(app: AppArgument, json: JsonFlag = False) -> None:
    """Check that the way back exists: images, snapshot, room. Changes nothing. Exit 1 if a rollback would fail."""
    from reconciler.engine.candidate import room_problem, way_back_problems
    from reconciler.engine.images import lookup_release

    with common.errors():
        built = common.app()
        context = common.context(built, app, "preflight")
        known = built.store.known_good(context.app)
        releases = {"known-good": known.release} if known else {}
        if known and known.fallback:
            releases["fallback"] = known.fallback.release
        images = [
            {
                "of": name,
                "image": i.reference,
                "exists": i.exists,
                "local": i.local,
                "created": i.created,
                "error": i.error,
            }
            for name, release in releases.items()
            for i in lookup_release(context, release, details=True)
        ]
        snapshot = built.snapshots.observe(context.app)
        volumes = list(built.store.bundle(context.app, known.release.bundle).volumes.values()) if known else []
        _, room = room_problem(context, volumes) if context.spec.stateful else (None, None)
        problems = way_back_problems(context, known)
    answer = {
        "app": app,
        "rollback_to": known.fallback.release.version if known and known.fallback else None,
        "snapshot": {"id": snapshot.id, "version": snapshot.version, "created_at": snapshot.created_at}
        if snapshot
        else None,
        "images": images,
        "problems": problems,
        "room": room or "enough",
    }
    if json:
        common.print_json(answer)
    else:
        _print_preflight(answer)
    if problems:
        raise typer.Exit(common.FAILED)


def _print_preflight(answer: dict[str, Any]) -> None:
    common.say(f"{answer['app']}: rollback to {answer['rollback_to'] or 'nothing'}")
    if answer["snapshot"]:
        found = answer["snapshot"]
        common.say(f"  snapshot of {found['version']}, {found['created_at']:%Y-%m-%d %H:%M:%S} UTC ({found['id']})")
    for image in answer["images"]:
        where = (
            "on the engine"
            if image["local"]
            else {True: "in its registry", False: "MISSING", None: "UNKNOWN"}[image["exists"]]
        )
        made = f", created {image['created']}" if image["created"] else ""
        common.say(f"  {image['of']}: {image['image']}: {where}{made} {image['error']}".rstrip())
    common.say(f"  room: {answer['room']}")
    for problem in answer["problems"]:
        common.say(f"  problem: {problem}")


def validate(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="spec files; default: all")] = None,
    json: JsonFlag = False,
) -> None:
    """Check settings and specs; every problem of every file at once. Needs no engine and no root."""
    from reconciler.adapters import specs
    from reconciler.model.errors import SpecError

    with common.errors():
        common.check_config()
    try:
        found = specs.read_everything(common.OPTIONS.config, files)
    except SpecError as exc:
        if json:
            rows = [{"file": p.file, "line": p.line, "key": p.key, "message": p.message} for p in exc.problems]
            common.print_json({"ok": False, "problems": rows})
            raise typer.Exit(common.USAGE) from exc
        common.stop(common.USAGE, "\n".join(f"error: {problem}" for problem in exc.problems))
    if json:
        common.print_json({"ok": True, "apps": [spec.name for spec in found], "problems": []})
    else:
        common.say(f"fine: {len(found)} specs ({', '.join(spec.name for spec in found)})")


def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="one document; default: list them")] = None,
    write: Annotated[Path | None, typer.Option("--write", help="write every schema into this folder")] = None,
) -> None:
    """Print the JSON Schema of a file that ci-warm reads or writes."""
    from reconciler import schemas

    documents = schemas.all_schemas()
    if write is not None:
        with common.errors():
            write.mkdir(parents=True, exist_ok=True)
            for key, text in documents.items():
                (write / f"{key}.schema.json").write_text(text)
        common.say(f"wrote {len(documents)} schemas to {write}")
    elif name is None:
        for key in documents:
            common.say(key)
    elif name not in documents:
        common.stop(common.USAGE, f"error: no document is named {name!r}; there are: {', '.join(documents)}")
    else:
        common.say(documents[name].rstrip())
