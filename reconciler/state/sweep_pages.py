"""A night as people read it: text and HTML from one table. Effects: none; text out."""

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconciler.model.published import AppStatus
from reconciler.model.sweep import Sweep, SweepItem

_STYLE = {"done": "green", "failed": "bold red", "skipped": "dim"}


def pages(report: Sweep) -> tuple[str, str]:
    """(text, HTML)."""
    console = Console(record=True, file=io.StringIO(), width=160, color_system="truecolor", force_terminal=True)
    ended = f"{report.finished_at:%Y-%m-%d %H:%M} UTC" if report.finished_at else "not ended"
    console.print(Text(f"ci-warm sweep of {report.date}: {report.result} ({ended})", style="bold"))
    console.print(_table(("part", "result", "took", "what"), [_item(item) for item in report.items]))
    if report.apps:
        console.print(_table(("app", "result", "known-good", ""), [_app(entry) for entry in report.apps]))
    return console.export_text(clear=False), console.export_html(inline_styles=True)


def _item(item: SweepItem) -> tuple[str, ...]:
    run = f" [{item.run}]" if item.run else ""
    return item.name, item.result, f"{item.elapsed_seconds:.1f} s", f"{item.detail}{run}"


def _app(entry: AppStatus) -> tuple[str, ...]:
    return entry.app, entry.result, entry.known_good or "-", entry.evidence[0] if entry.evidence else ""


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        cells = [Text(cell) for cell in row]
        cells[1].stylize(_STYLE.get(row[1], ""))
        table.add_row(*cells)
    return table
