"""`history`. Effects: reads."""

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag
from reconciler.model.result import word_of

if TYPE_CHECKING:
    from reconciler.model.history import HistoryLine


def history(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", help="only this app")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="this many lines")] = 20,
    stats: Annotated[bool, typer.Option("--stats", help="counts per result, mean and p95 of elapsed seconds")] = False,
    json: JsonFlag = False,
) -> None:
    """Show recent outcomes, one line each, newest last."""
    with common.errors():
        from reconciler.state.history import HistoryFile

        lines = [x for x in HistoryFile(common.OPTIONS.state / "history.jsonl").lines() if app is None or x.app == app]
    if app is not None and not lines and not (common.OPTIONS.state / app).is_dir():
        common.stop(common.USAGE, f"error: ci-warm knows nothing of an app named {app!r} in {common.OPTIONS.state}")
    if stats:
        _stats(lines, as_json=json)
    elif json:
        common.print_json(lines[-last:])
    else:
        rows = [
            (f"{x.ts:%Y-%m-%d %H:%M:%S}", x.app, x.result, f"{x.elapsed_seconds:.1f}s", x.actor, x.message)
            for x in lines[-last:]
        ]
        common.print_table(("when (UTC)", "app", "result", "took", "by", "message"), rows)


def _stats(lines: "list[HistoryLine]", as_json: bool) -> None:
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
