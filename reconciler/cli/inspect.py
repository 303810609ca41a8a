"""Reading commands: `explain`, `status`, `preflight`, `validate`, `schema`. Effects: reads, stdout."""

import contextlib
import io
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from typing_extensions import override

from reconciler.cli import common
from reconciler.cli.common import AppArgument, JsonFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.engine.operate.explain import Explanation
    from reconciler.engine.operate.preflight import WayBack
    from reconciler.model.errors import Problem
    from reconciler.model.printed import Preflight, ProblemRow

_WATCH_S = 0.5


def explain(
    app: AppArgument, no_fetch: Annotated[bool, typer.Option("--no-fetch")] = False, json: JsonFlag = False
) -> None:
    """Say in one screen why an app is as it is and why it does not move on."""
    from reconciler.engine.host import fetch

    with common.errors():
        built = common.app()
        context = common.context(built, app, "explain")
        url = context.spec.recipe.url
        fetched = fetch.begin(built.ports, () if no_fetch else [url])
        from reconciler.engine.operate import explain as use_case  # while git works

        world = built.ports.engine.look()
        found = use_case.explain(context, world, fetched().get(url))
    if json:
        from reconciler.model.printed import Explained

        since = found.since.isoformat(timespec="seconds") if found.since else None
        common.print_json(Explained.model_validate({**common.fields(found), "since": since}))
        return
    _explain(found)


def _explain(found: "Explanation") -> None:
    common.say(f"{found.app} ({found.kind}): {found.status}, {found.reason}")
    common.say(
        f"  known-good  {found.known_good or 'none'}"
        + (f", since {found.since.isoformat(timespec='seconds')}" if found.since else "")
    )
    common.say(f"  way back    {found.fallback or 'none'}")
    common.say(f"  newest      {found.candidate or 'none'}")
    if found.probe:
        common.say(f"  probe       {found.probe}")
    common.say(f"  next        {found.next}{' (held)' if found.holds else ''}")
    for hold in found.holds:
        common.say(f"  why not yet: {hold.reason}: {hold.detail}")
        common.say(f"      clears when: {hold.clears_when}")
    if found.approved:
        common.say(f"  approved: {', '.join(found.approved)}")
    if found.clear:
        common.say(f"  not held by: {', '.join(found.clear)}")
    for text in found.evidence:
        common.say(f"  seen: {text}")
    for name in found.alerts:
        common.say(f"  alert: {name}")
    if found.last:
        common.say(f"  last outcomes: {', '.join(found.last)}")


def status(
    watch: Annotated[bool, typer.Option("--watch", help="go on, and show each new pass until Ctrl-C")] = False,
    json: JsonFlag = False,
) -> None:
    """Show the published result of the last pass; needs no engine and no root."""
    if watch and _redraws():
        sys.stdout.write("\x1b[2J\x1b[H")
    shown = _status(json, missing_is_fine=watch)
    try:
        while watch:
            sys.stdout.flush()  # into a pipe or a file too
            time.sleep(_WATCH_S)
            if _stamp() != shown:
                shown = _show_again(json)
    except KeyboardInterrupt:
        common.stop(common.FINE)


def _redraws() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "", None)


def _show_again(json: bool) -> int:
    """The new pass in the place of the one before on a terminal, below it elsewhere; gives what it was stamped with."""
    if not _redraws():
        return _status(json, missing_is_fine=True)
    # In one write, and over what is there: a screen that is cleared first flickers.
    with contextlib.redirect_stdout(_Screen(sys.stdout)) as screen:
        stamp = _status(json, missing_is_fine=True)
    screen.show()
    return stamp


class _Screen(io.StringIO):
    """What is printed, kept until it can be shown at once. It says that it is the terminal that it is for."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__()
        self._terminal = terminal

    @override
    def isatty(self) -> bool:
        return self._terminal.isatty()

    def show(self) -> None:
        """Home, each line with the rest of the old one cleared, then whatever is below."""
        self._terminal.write("\x1b[H" + self.getvalue().replace("\n", "\x1b[K\n") + "\x1b[J")
        self._terminal.flush()


def _stamp() -> int:
    try:
        return (common.OPTIONS.state / "status.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _status(json: bool, *, missing_is_fine: bool) -> int:
    """Print the report as it stands; gives what it was stamped with."""
    from reconciler.model.published import StatusReport
    from reconciler.state import records
    from reconciler.state.alerts import AlertStore

    with common.errors():
        stamp = _stamp()
        report = records.read(common.OPTIONS.state / "status.json", StatusReport)
        alerts = AlertStore(common.OPTIONS.state / "alerts").open() if report is not None and not json else []
    if report is None:
        text = f"no pass has published a status in {common.OPTIONS.state} yet"
        common.stop(common.FAILED, text) if not missing_is_fine else typer.echo(text, err=True)
        return stamp
    if json:
        common.print_json(report)
        return stamp
    since = {a.app: a.first_at for _, a in alerts if "held-" in a.reason}
    rows = [
        (
            a.app,
            a.status,
            a.result,
            a.known_good or "-",
            ", ".join(str(h["reason"]) for h in a.holds),
            f"{since[a.app]:%Y-%m-%d %H:%M}" if a.holds and a.app in since else "",
        )
        for a in report.apps
    ]
    by = f", by {report.by}" if report.by else ""
    common.say(f"last pass {report.at:%Y-%m-%d %H:%M:%S} UTC, {report.elapsed_seconds} s, {report.engine}{by}")
    common.print_table(("app", "status", "result", "known-good", "held by", "since (UTC)"), rows)
    return stamp


def preflight(app: AppArgument, json: JsonFlag = False) -> None:
    """Check that the way back exists: images, snapshot, room. Changes nothing. Exit 1 if a rollback would fail."""
    from reconciler.engine.operate import preflight as use_case

    with common.errors():
        found = use_case.check_way_back(common.context(common.app(), app, "preflight"))
    if json:
        common.print_json(_preflight_json(found))
    else:
        _print_preflight(found)
    if found.problems:
        raise typer.Exit(common.FAILED)


def _preflight_json(found: "WayBack") -> "Preflight":
    from reconciler.model.printed import Preflight

    snapshot = found.snapshot
    data = {
        "app": found.app,
        "rollback_to": found.rollback_to,
        "snapshot": snapshot and {"id": snapshot.id, "version": snapshot.version, "created_at": snapshot.created_at},
        "images": [
            {
                "of": name,
                "image": image.reference,
                "exists": image.exists,
                "local": image.local,
                "created": image.created,
                "error": image.error,
            }
            for name, image in found.images
        ],
        "problems": found.problems,
        "room": found.room or "enough",
    }
    return Preflight.model_validate(data)


def _print_preflight(found: "WayBack") -> None:
    common.say(f"{found.app}: rollback to {found.rollback_to or 'nothing'}")
    snapshot = found.snapshot
    if snapshot is not None:
        common.say(f"  snapshot of {snapshot.version}, {snapshot.created_at:%Y-%m-%d %H:%M:%S} UTC ({snapshot.id})")
    for name, image in found.images:
        where = {True: "in its registry", False: "MISSING", None: "UNKNOWN"}[image.exists]
        made = f", created {image.created}" if image.created else ""
        where = "on the engine" if image.local else where
        common.say(f"  {name}: {image.reference}: {where}{made} {image.error}".rstrip())
    common.say(f"  room: {found.room or 'enough'}")
    for problem in found.problems:
        common.say(f"  problem: {problem}")


def validate(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="spec files; default: all")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="warnings are errors, too")] = False,
    json: JsonFlag = False,
) -> None:
    """Check settings and specs; every problem of every file at once. Needs no engine and no root.

    Warnings say what is written rightly and will not work as it stands on this host.
    """
    from reconciler.model.errors import SpecError
    from reconciler.model.printed import Validated
    from reconciler.state import spec_doubts, specs

    with common.errors():
        common.check_config()
    apps: tuple[str, ...] = ()
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    try:
        apps = tuple(spec.name for spec in specs.read_everything(common.OPTIONS.config, files))
        settings = specs.read_settings(common.OPTIONS.config)
        by_file, _ = specs.read_usable(files or specs.folders(common.OPTIONS.config), settings, {})
        warnings = spec_doubts.find_doubts(by_file.items(), settings)
    except SpecError as exc:
        problems = exc.problems
    fine = not problems and not (strict and warnings)
    if json:
        found = Validated(ok=fine, apps=apps, problems=_problem_rows(problems), warnings=_problem_rows(warnings))
        common.print_json(found)
    else:
        for severity, rows in (("error", problems), ("warning", warnings)):
            for problem in rows:
                typer.echo(f"{severity}: {problem}", err=True)
    if not fine:
        raise typer.Exit(common.USAGE)
    if not json:
        common.say(f"fine: {len(apps)} specs ({', '.join(apps)})")


def _problem_rows(problems: "Sequence[Problem]") -> "tuple[ProblemRow, ...]":
    from reconciler.model.printed import ProblemRow

    return tuple(ProblemRow(file=one.file, line=one.line, key=one.key, message=one.message) for one in problems)


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
