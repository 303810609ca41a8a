"""The names that a shell completes: apps, recipes, versions, runs, alerts. Effects: reads what anybody may read.

Raw, without the models: a shell waits for each of these. What cannot be read has no names.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

_NAME = re.compile(r"^name:\s*[\"']?([\w-]+)", re.MULTILINE)
_CANONICAL = re.compile(r"^kind:\s*[\"']?canonical\b", re.MULTILINE)


def apps(context: typer.Context, incomplete: str) -> list[str]:
    """Every app that is declared or published."""
    return _starting(incomplete, {*_published(context), *_specs(context)})


def recipes(context: typer.Context, incomplete: str) -> list[str]:
    """Every canonical that is declared or published."""
    published = {name for name, app in _published(context).items() if app.get("kind") == "canonical"}
    declared = {name for name, text in _specs(context).items() if _CANONICAL.search(text)}
    return _starting(incomplete, published | declared)


def versions(context: typer.Context, incomplete: str) -> list[str]:
    """The release that the app named before it waits for."""
    found = _published(context).get(str(context.params.get("app")), {}).get("candidate")
    return _starting(incomplete, {found} if isinstance(found, str) else set())


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Test runs with a report, newest first."""
    return _starting(incomplete, {path.parent.name for path in _files(context, "runs/*/run.json")})[::-1]


def alerts(context: typer.Context, incomplete: str) -> list[str]:
    """Open alerts."""
    return _starting(incomplete, {path.stem for path in _files(context, "alerts/*.json")})


def _starting(incomplete: str, names: set[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _option(context: typer.Context, name: str) -> Path:
    return Path(str(context.find_root().params.get(name) or "/nowhere"))


def _published(context: typer.Context) -> Mapping[str, Mapping[str, Any]]:
    """The apps of `status.json` by name."""
    try:
        found = json.loads(_text(_option(context, "state_dir") / "status.json"))
        return {str(app["app"]): app for app in found["apps"]}
    except (ValueError, KeyError, TypeError):
        return {}


def _specs(context: typer.Context) -> Mapping[str, str]:
    """The text of each spec by the name of its app."""
    folder = _option(context, "config").parent / "apps"
    texts = [_text(path) for suffix in ("yaml", "yml", "json") for path in _glob(folder, f"*.{suffix}")]
    return {found[1]: text for text in texts if (found := _NAME.search(text))}


def _files(context: typer.Context, pattern: str) -> Iterator[Path]:
    return _glob(_option(context, "state_dir"), pattern)


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from folder.glob(pattern)
    except OSError:
        return


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
