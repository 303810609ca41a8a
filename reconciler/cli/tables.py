"""Tables: for people as wide as their terminal, for pipes a line per row with all its columns. Effects: stdout.

Colour says what a word says anyway. There is none with NO_COLOR, with TERM=dumb, or in a pipe.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

_BAD = re.compile(
    r"rollback-|((rolled-back|(deploy-|undeploy-|restore-)?failed|unhealthy|stalled|error|unknown|unmanaged|critical"
    r"|red|dirty)\b)"
)
_WAITS = re.compile(
    r"(held|converging|seeding|busy|in-use|warning|recipe|no-release|aborted|cold|drifted|out-of-sync)\b"
)
_GOOD = re.compile(r"(noop-|deployed|upgraded|healed|reconfigured|adopted|restored|in-sync|idle|green|alive)")
_LEAST = 10
"""Columns of a terminal that a cell needs; with less, a row is shown as lines."""
_NOTHING = "-"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the rows; without one, nothing in a pipe."""
    texts = [[" ".join(str(cell).split()) or _NOTHING for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            sys.stdout.write("  ".join(row) + "\n")
        return
    width = shutil.get_terminal_size().columns
    if width < _LEAST * len(columns):
        _print_lines(columns, texts)
    else:
        _print_wide(columns, texts, width)


def uses_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody asked for none (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "")


def style_of(text: str) -> str:
    """The colour of a status or a result; '' for what is neither."""
    for pattern, style in ((_BAD, "red"), (_WAITS, "yellow"), (_GOOD, "green")):
        if pattern.match(text):
            return style
    return ""


def _print_wide(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=style_of(cell)) for cell in row))
    Console(width=width, force_terminal=uses_colour(sys.stdout), highlight=False).print(table)


def _print_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A row as lines `name: value`: on a narrow terminal columns of three letters tell nothing."""
    for number, row in enumerate(rows):
        if number:
            sys.stdout.write("\n")
        for column, cell in zip(columns, row, strict=True):
            sys.stdout.write(f"{column}: {cell}\n")
