"""What abra keeps of apps and recipes: `servers/<server>/<app>.env`, `recipes/<recipe>/`. Effects: reads files.

Nothing in these files is executed; one that needs a shell to be understood is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.release import compose, data_places
from reconciler.core.release.compose import ComposeError
from reconciler.model.errors import Problem, RecipeError, SpecError, UsageError
from reconciler.state import env_text, specs, strict_yaml

_SHELL = re.compile(r"\$\(|`")


@dataclass(frozen=True, kw_only=True)
class EnvFile:
    """One app: its file, and its variables in the order of their lines."""

    path: Path
    variables: tuple[env_text.Variable, ...]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """`apps`: of one server. `recipes`: the folder of clones; it may not be there."""

    apps: tuple[EnvFile, ...]
    recipes: Path


def read(folder: Path) -> Tree:
    """The apps of abra's own folder, if that knows one server, or of one server's folder.

    Raises:
        UsageError: there is no such folder, no app in it, or more than one server.
        SpecError: every line of every file that cannot be taken as it stands.
    """
    server = _server(folder)
    paths = sorted(path for path in server.glob("*.env") if path.is_file())
    if not paths:
        raise UsageError(f"{server}: there is no .env file of an app")
    problems: list[Problem] = []
    apps = []
    for path in paths:
        lines = _lines(path)
        problems += [problem for line in lines if (problem := _judge(path, line)) is not None]
        variables = tuple(line for line in lines if isinstance(line, env_text.Variable))
        apps.append(EnvFile(path=path, variables=variables))
    if problems:
        raise SpecError(problems)
    return Tree(apps=tuple(apps), recipes=server.parent.parent / "recipes")


def _server(folder: Path) -> Path:
    servers = folder / "servers"
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if not servers.is_dir():
        return folder.absolute()
    found = sorted(path for path in servers.iterdir() if path.is_dir())
    if len(found) != 1:
        names = ", ".join(str(path) for path in found) or "none"
        raise UsageError(f"{servers}: which server is this host? There are: {names}")
    return found[0].absolute()


def _lines(path: Path) -> Sequence[env_text.Variable | env_text.Other]:
    try:
        raw = path.read_bytes()
        if len(raw) > strict_yaml.MAX_BYTES:
            raise SpecError([Problem(file=str(path), line=0, key="", message="is larger than 256 KiB")])
        return env_text.read(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise SpecError([Problem(file=str(path), line=0, key="", message="is not UTF-8 text")]) from exc


def _judge(path: Path, line: env_text.Variable | env_text.Other) -> Problem | None:
    if isinstance(line, env_text.Other):
        message = "is no NAME=value; nothing is executed here"
        return Problem(file=str(path), line=line.line, key="", message=message)
    if not line.is_literal and _SHELL.search(line.template):
        message = "asks a shell for its value; write the value itself"
        return Problem(file=str(path), line=line.line, key=line.name, message=message)
    return None


def keeps_data(clone: Path, compose_files: Sequence[str]) -> bool | None:
    """Whether these compose files of a clone name volumes or write to the host; None: they cannot be read."""
    try:
        parsed = [specs.RecipeYaml().compose((clone / name).read_bytes(), name) for name in compose_files]
    except (OSError, RecipeError):
        return None
    services = [service for document in parsed for service in compose.services(document).values()]
    try:
        mounts = [mount for service in services for mount in compose.list_mounts(service)]
    except ComposeError:
        return None
    return any(document.get("volumes") for document in parsed) or any(map(data_places.is_kept_by_host, mounts))
