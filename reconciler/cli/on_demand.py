"""The program's commands, each imported when it is asked for: a start costs what it uses. Effects: imports.

Whoever walks all commands (man pages, completion of an empty word) imports them all.
"""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from reconciler.cli import commands, help_text

_TAB = 2


class ByTask(TyperGroup):
    """The program: its commands are those of the table, and its help has them under their headings."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _OnDemand()

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One section per heading, from the table alone."""
        width = max(map(len, self.commands))
        for heading, listed in commands.TABLE.items():
            rows = [
                # A command without a body, because cutting a text to a width is typer's.
                (
                    name.ljust(width),
                    TyperCommand(name, help=entry.summary).get_short_help_str(formatter.width - width - 3 * _TAB),
                )
                for name, entry in listed.items()
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)


class _OnDemand(MutableMapping[str, Any]):
    """Commands by name. Names are known without an import; a value is built at its first look."""

    def __init__(self) -> None:
        self._headings = {name: heading for heading, listed in commands.TABLE.items() for name in listed}
        self._built: dict[str, Any] = {}

    @override
    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            heading = self._headings[name]
            self._built[name] = _build(heading, name, commands.TABLE[heading][name].at)
        return self._built[name]

    @override
    def __setitem__(self, name: str, command: Any) -> None:
        self._headings.setdefault(name, "Commands")
        self._built[name] = command

    @override
    def __delitem__(self, name: str) -> None:
        del self._headings[name]
        self._built.pop(name, None)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._headings)

    @override
    def __len__(self) -> int:
        return len(self._headings)

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._headings


def _build(heading: str, name: str, at: str) -> Any:
    """The command as typer builds it, with its examples."""
    module, _, attribute = at.partition(":")
    found = getattr(import_module(f"reconciler.cli.{module}"), attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if not isinstance(found, typer.Typer):
        alone.command(name, epilog=help_text.epilog(name), rich_help_panel=heading)(found)
        return typer.main.get_command(alone)
    for info in found.registered_commands:
        own = info.name or getattr(info.callback, "__name__", "")
        info.epilog = help_text.epilog(f"{name} {own}")
    alone.add_typer(found, name=name, rich_help_panel=heading)
    group: Any = typer.main.get_command(alone)
    return group.commands[name]
