"""The operator's files: settings and one spec per app, every problem of all at once. Effects: reads files."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from reconciler.adapters import strict_yaml
from reconciler.model.base import Strict
from reconciler.model.errors import Problem, SpecError
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec, Kind

M = TypeVar("M", bound=Strict)
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One good spec and the file it came from."""

    spec: AppSpec
    file: str


def read_settings(path: Path) -> Settings:
    """Read the settings; absent means all defaults.

    Raises:
        SpecError: every problem in the file.
    """
    if not path.exists():
        return Settings()
    return _validate(strict_yaml.parse(_read(path), str(path)), Settings, str(path))


def read_specs(paths: Iterable[Path], settings: Settings, *, complete: bool = True) -> tuple[AppSpec, ...]:
    """Read specs from files and folders, in an order that respects `after`.

    `complete` False: these are not all the specs there are, so names in `after` may stand elsewhere.

    Raises:
        SpecError: every problem of every file, and of the set as a whole.
    """
    problems: list[Problem] = []
    loaded: list[Loaded] = []
    for path in _expand(paths):
        try:
            spec = _validate(strict_yaml.parse(_read(path), str(path)), AppSpec, str(path))
            loaded.append(Loaded(spec=_complete(spec, settings), file=str(path)))
        except SpecError as exc:
            problems += exc.problems
    problems += conflicts(loaded, complete=complete and not problems)
    if problems:
        raise SpecError(problems)
    return in_order([item.spec for item in loaded])


def _expand(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                child for child in path.iterdir() if child.suffix in SUFFIXES and not child.name.startswith(".")
            )
        else:
            found.append(path)
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(strict_yaml.MAX_BYTES + 1)
    except OSError as exc:
        problem = Problem(file=str(path), line=0, key="", message=f"cannot be read: {exc.strerror}")
        raise SpecError([problem]) from exc


def _validate(parsed: strict_yaml.Parsed, model: type[M], name: str) -> M:
    if not isinstance(parsed.data, dict):
        raise SpecError([Problem(file=name, line=1, key="", message="must be a mapping of keys to values")])
    try:
        return model.model_validate(parsed.data)
    except ValidationError as exc:
        problems = []
        for error in exc.errors():
            where = error["loc"]
            message = error["msg"].removeprefix("Value error, ")
            if error["type"] == "string_type" and isinstance(error["input"], int | float):
                message = f"YAML reads {error['input']!r} as a {type(error['input']).__name__}; put it in quotes"
            if error["type"] == "extra_forbidden":
                message = "is not a key we know"
            key = ".".join(str(part) for part in where)
            problems.append(Problem(file=name, line=parsed.line(where), key=key, message=message))
        raise SpecError(problems) from exc


def _complete(spec: AppSpec, settings: Settings) -> AppSpec:
    if spec.domain:
        return spec
    return spec.model_copy(update={"domain": f"warm-{spec.name}.{settings.domain_suffix or 'localhost'}"})


def conflicts(loaded: Sequence[Loaded], *, complete: bool = True) -> list[Problem]:
    """Claims that two specs cannot both have. `complete` False: some files did not load, so `after` is not judged."""
    problems: list[Problem] = []
    claims: dict[tuple[str, str], Loaded] = {}
    for item in loaded:
        spec = item.spec
        for what, value in (("name", spec.name), ("domain", spec.domain), ("stack", spec.stack_name)):
            other = claims.setdefault((what, value), item)
            if other is not item:
                kinds = " (a canonical and a live app)" if other.spec.kind is not spec.kind else ""
                message = f"{value!r} is already claimed by {other.spec.name!r} in {other.file}{kinds}"
                problems.append(Problem(file=item.file, line=0, key=what, message=message))
    if complete:
        problems += _order_problems(loaded)
    return problems


def _order_problems(loaded: Sequence[Loaded]) -> list[Problem]:
    names = {item.spec.name for item in loaded}
    problems = [
        Problem(file=item.file, line=0, key="after", message=f"no app is named {other!r}")
        for item in loaded
        for other in item.spec.after
        if other not in names
    ]
    ring = _ring({item.spec.name: item.spec.after for item in loaded})
    if ring:
        file = next(item.file for item in loaded if item.spec.name == ring[0])
        problems.append(Problem(file=file, line=0, key="after", message=f"goes in a circle: {' -> '.join(ring)}"))
    return problems


def _ring(after: Mapping[str, Sequence[str]]) -> list[str]:
    done: set[str] = set()
    for start in after:
        trail: list[str] = []
        stack = [(start, iter(after[start]))]
        while stack:
            name, rest = stack[-1]
            if name not in trail:
                trail.append(name)
            following = next(rest, None)
            if following is None:
                done.add(name)
                trail.pop()
                stack.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following in after and following not in done:
                stack.append((following, iter(after[following])))
    return []


def in_order(specs: Sequence[AppSpec]) -> tuple[AppSpec, ...]:
    """Sort by `after`, then live before canonical, then name."""
    from graphlib import TopologicalSorter

    by_name = {spec.name: spec for spec in specs}
    ranked = sorted(specs, key=lambda spec: (spec.kind is Kind.CANONICAL, spec.name))
    place = {spec.name: number for number, spec in enumerate(ranked)}
    sorter = TopologicalSorter({spec.name: [name for name in spec.after if name in by_name] for spec in ranked})
    sorter.prepare()
    ready = [place[name] for name in sorter.get_ready()]
    heapq.heapify(ready)
    found: list[AppSpec] = []
    while ready:
        spec = ranked[heapq.heappop(ready)]
        found.append(spec)
        sorter.done(spec.name)
        for name in sorter.get_ready():
            heapq.heappush(ready, place[name])
    return tuple(found)


class RecipeYaml:
    """`ports.Yaml`: compose and env files of recipes. Untrusted text, so the same strictness but for anchors."""

    def compose(self, text: bytes, name: str) -> Mapping[str, object]:
        """See `ports.Yaml`."""
        from reconciler.model.errors import RecipeError

        try:
            data = strict_yaml.parse(text, name, anchors=True).data
        except SpecError as exc:
            raise RecipeError(str(exc)) from exc
        if not isinstance(data, dict):
            raise RecipeError(f"{name}: must be a mapping of keys to values")
        return data

    def env(self, text: bytes, name: str) -> Mapping[str, str]:
        """See `ports.Yaml`. Of a shell script only `export NAME=value` lines are read; nothing is executed."""
        import io

        from dotenv import dotenv_values

        lines = text.decode("utf-8", "replace").splitlines()
        if name.endswith(".sh"):
            lines = [line for line in lines if line.startswith("export ")]
        found = dotenv_values(stream=io.StringIO("\n".join(lines)), interpolate=False)
        return {key: value for key, value in found.items() if value is not None}


class HostOverlays:
    """`ports.Overlays`."""

    def read(self, path: str) -> bytes:
        """See `ports.Overlays`."""
        from reconciler.model.errors import RecipeError

        try:
            return _read(Path(path))
        except SpecError as exc:
            raise RecipeError(str(exc)) from exc
