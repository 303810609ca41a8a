"""`man`: the command line as man pages, one per command. Effects: files in one folder."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import common, help_text

_EXITS = (
    ("0", "fine"),
    ("1", "failed"),
    ("2", "usage, settings or a spec"),
    ("3", "a test could not be carried out, by the host's fault (cold, quick)"),
    ("20", "changes are planned (plan)"),
    ("21", "something is held (plan)"),
    ("75", "busy"),
)
_FILES = (
    ("/etc/ci-warm/config.yaml", "the settings; they may be missing"),
    ("/etc/ci-warm/apps", "a spec per app"),
    ("/var/lib/ci-warm", "records, snapshots, alerts, reports"),
)


def man(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="such as /usr/local/share/man/man1")],
) -> None:
    """Write a man page per command: ci-warm.1, ci-warm-reconcile.1 and so on."""
    from reconciler.model.errors import UsageError

    with common.errors():
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")
        made = pages(context.find_root().command)
        for name, text in made.items():
            (folder / f"{name}.1").write_text(text)
    common.say(f"wrote {len(made)} man pages to {folder}")


def pages(program: Any) -> dict[str, str]:
    """The text of each page by its name, of a command line as typer built it."""
    return {"-".join(("ci-warm", *words)): _page(words, command) for words, command in _walk((), program)}


def _walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk((*words, name), below)


def _page(words: tuple[str, ...], command: Any) -> str:
    name = "-".join(("ci-warm", *words))
    about = " ".join((command.help or "").partition("\n\n")[0].split())
    lines = [
        f".Dd {_date()}",
        f".Dt {name.upper()} 1",
        ".Os",
        ".Sh NAME",
        f".Nm {name}",
        f".Nd {_plain(about).rstrip('.')}",
        ".Sh SYNOPSIS",
        f".Nm {' '.join(('ci-warm', *words))}",
        *_synopsis(command),
        ".Sh DESCRIPTION",
        *_paragraphs(command.help or ""),
        *_options(command),
        *_below(words, command),
        *(_table("FILES", ".Pa", _FILES) if not words else ()),
        *_table("EXIT STATUS", ".Sy", _EXITS),
        *_examples(" ".join(words)),
        *_see_also(words, command),
    ]
    return "\n".join(lines) + "\n"


def _date() -> str:
    """The day of the build, or the one that a reproducible build wants."""
    wanted = os.environ.get("SOURCE_DATE_EPOCH", "")
    day = datetime.fromtimestamp(int(wanted), UTC) if wanted.isdigit() else datetime.now(UTC)
    return f"{day:%B} {day.day}, {day.year}"


def _plain(text: str) -> str:
    """Text that roff takes as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _arguments(command: Any, kind: str) -> list[Any]:
    return [found for found in command.params if found.param_type_name == kind and not getattr(found, "hidden", False)]


def _synopsis(command: Any) -> Iterator[str]:
    yield ".Op Ar options"
    for argument in _arguments(command, "argument"):
        yield f".Ar {_plain(str(argument.metavar or argument.name.upper()))}"
    if getattr(command, "commands", None):
        yield ".Ar command ..."


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".Pp"
        yield from _sentences(paragraph)


def _sentences(text: str) -> Iterator[str]:
    """One per line, as roff spaces them by that."""
    yield from map(_plain, re.split(r"(?<=[.?!]) (?=[A-Z])", " ".join(text.split())))


def _options(command: Any) -> Iterator[str]:
    rows = [(str(a.metavar or a.name.upper()), a.help or "") for a in _arguments(command, "argument")]
    for option in _arguments(command, "option"):
        value = "" if option.is_flag else f" {option.name.upper()}"
        rows.append((", ".join(option.opts) + value, option.help or ""))
    rows.append(("--help", "say all this in short"))
    yield from _table("OPTIONS", ".Sy", rows)


def _below(words: tuple[str, ...], command: Any) -> Iterator[str]:
    found = getattr(command, "commands", {})
    for heading in dict.fromkeys(getattr(below, "rich_help_panel", None) or "Commands" for below in found.values()):
        rows = [
            (" ".join((*words, name)), below.get_short_help_str(200))
            for name, below in found.items()
            if (getattr(below, "rich_help_panel", None) or "Commands") == heading
        ]
        yield from _table(heading.upper(), ".Sy", rows)


def _examples(words: str) -> Iterator[str]:
    found = help_text.EXAMPLES.get(words, ())
    if found:
        yield from (".Sh EXAMPLES", ".Bd -literal -offset indent")
        yield from (_plain(f"# ci-warm {text}") for text in found)
        yield ".Ed"


def _table(heading: str, macro: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (f".Sh {heading}", ".Bl -tag -width indent")
    for name, text in rows:
        yield f".It {macro[1:]} {_plain(name)}"
        if text:
            yield from _sentences(text)
    yield ".El"


def _see_also(words: tuple[str, ...], command: Any) -> Iterator[str]:
    base = "-".join(("ci-warm", *words))
    names = [f"{base}-{name}" for name in getattr(command, "commands", {})]
    if words:
        names.append("-".join(("ci-warm", *words[:-1])))
    yield ".Sh SEE ALSO"
    ordered = sorted(names)
    for name in ordered:
        yield f".Xr {name} 1{' ,' if name != ordered[-1] else ''}"
