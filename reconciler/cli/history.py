"""`history`. Effects: reads."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import JsonFlag
from reconciler.core.suggest import suggest
from reconciler.model.result import word_of

if TYPE_CHECKING:
    from reconciler.model.history import HistoryLine

_BAR = 30
"""Columns of a bar on a terminal; a pipe gets none."""


def history(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", help="only this app", autocompletion=names.apps)] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="this many lines")] = 20,
    stats: Annotated[bool, typer.Option("--stats", help="counts per result, mean and p95 of elapsed seconds")] = False,
    days: Annotated[int, typer.Option("--days", min=0, max=366, help="a bar per day for so many days")] = 0,
    json: JsonFlag = False,
) -> None:
    """Show recent outcomes, one line each, newest last."""
    with common.errors():
        from reconciler.state.history import HistoryFile

        lines = [x for x in HistoryFile(common.OPTIONS.state / "history.jsonl").lines() if app is None or x.app == app]
    if app is not None and not lines and not (common.OPTIONS.state / app).is_dir():
        near = suggest(app, _apps())
        message = f"ci-warm knows nothing of an app named {app!r} in {common.OPTIONS.state}{near}"
        common.stop(common.USAGE, f"error: {message}")
    if days:
        _days(lines, days, as_json=json)
    elif stats:
        _stats(lines, as_json=json)
    elif json:
        common.print_json(lines[-last:])
    else:
        rows = [
            (f"{x.ts:%Y-%m-%d %H:%M:%S}", x.app, x.result, f"{x.elapsed_seconds:.1f}s", x.actor, x.message)
            for x in lines[-last:]
        ]
        common.print_table(("when (UTC)", "app", "result", "took", "by", "message"), rows)


def _apps() -> set[str]:
    from reconciler.state.history import HistoryFile

    return {line.app for line in HistoryFile(common.OPTIONS.state / "history.jsonl").lines()}


def _days(lines: "list[HistoryLine]", days: int, *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from reconciler.core.host import days as by_day

    found = by_day.count_days(lines, days, datetime.now(UTC))
    if as_json:
        from reconciler.model.printed import Day

        common.print_json([Day(date=f"{one.day:%Y-%m-%d}", total=one.total, counts=one.counts) for one in found])
        return
    most, width = max(one.total for one in found), _BAR if sys.stdout.isatty() else 0
    for one in found:
        counts = ", ".join(f"{word} {count}" for word, count in one.counts.items())
        shown = f"{by_day.bar(one.total, most, width):{width}}  " if width else ""
        common.say(f"{one.day:%Y-%m-%d}  {shown}{one.total:4d}  {counts}".rstrip())


def _stats(lines: "list[HistoryLine]", as_json: bool) -> None:
    import statistics

    counts = Counter(word_of(line.result) for line in lines)
    took = sorted(line.elapsed_seconds for line in lines)
    figures = {
        "counts": dict(counts.most_common()),
        "mean_seconds": round(statistics.fmean(took), 3) if took else None,
        "p95_seconds": took[max(0, -(-len(took) * 95 // 100) - 1)] if took else None,
    }
    if as_json:
        from reconciler.model.printed import Figures

        common.print_json(Figures.model_validate(figures))
        return
    for result, count in counts.most_common():
        common.say(f"{count:6d}  {result}")
    if took:
        common.say(f"mean {figures['mean_seconds']} s, p95 {figures['p95_seconds']} s over {len(took)}")
