"""The operator's files: settings and one spec per app, every problem of all at once. Effects: reads files."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from reconciler.core.host.spec_set import Loaded, conflicts, in_order, usable
from reconciler.model.app import AppSpec
from reconciler.model.base import Strict
from reconciler.model.errors import Problem, SpecError
from reconciler.model.settings import Settings
from reconciler.model.tests import TestSpec
from reconciler.state import env_text, strict_yaml

M = TypeVar("M", bound=Strict)
SUFFIXES = (".yaml", ".yml", ".json")


def read_settings(path: Path) -> Settings:
    """Read the settings; absent means all defaults.

    Raises:
        SpecError: every problem in the file.
    """
    if not path.exists():
        return Settings()
    parsed = strict_yaml.read(_read(path), str(path))
    # A file of comments alone, as `init` writes it, says nothing.
    return validate(replace(parsed, data={}) if parsed.data is None else parsed, Settings, str(path))


def folders(config: Path) -> list[Path]:
    """Where specs lie: `apps/` beside the settings, if there is one."""
    apps = config.parent / "apps"
    return [apps] if apps.is_dir() else []


def stamp(config: Path) -> Hashable:
    """What moves when the operator changes a file: name, inode, size and time of each."""
    found = []
    for path in [config, *_expand(folders(config))]:
        try:
            stat = path.stat()
        except OSError:
            continue
        # The inode too: an editor that writes a new file within one second and with the same size is seen as
        # well.
        found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def read_specs(paths: Iterable[Path], settings: Settings, *, complete: bool = True) -> tuple[AppSpec, ...]:
    """Read specs from files and folders, in an order that respects `after`.

    `complete` False: these are not all the specs there are, so names in `after` may stand elsewhere.

    Raises:
        SpecError: every problem of every file, and of the set as a whole.
    """
    by_file, problems = _read_all(paths, settings)
    loaded = [Loaded(spec=spec, file=file) for file, spec in by_file.items()]
    problems += conflicts(loaded, complete=complete and not problems)
    if problems:
        raise SpecError(problems)
    return in_order([item.spec for item in loaded])


def read_everything(config: Path, only: Iterable[Path] | None = None) -> tuple[AppSpec, ...]:
    """Read settings and specs together, for people: the mistakes of both are told at once.

    Raises:
        SpecError: every problem.
    """
    problems: list[Problem] = []
    try:
        settings = read_settings(config)
    except SpecError as exc:
        settings, problems = Settings(), list(exc.problems)
    try:
        found = read_specs(only or folders(config), settings, complete=not only)
    except SpecError as exc:
        raise SpecError([*problems, *exc.problems]) from exc
    if problems:
        raise SpecError(problems)
    return found


def read_usable(
    paths: Iterable[Path], settings: Settings, before: Mapping[str, AppSpec]
) -> tuple[Mapping[str, AppSpec], tuple[Problem, ...]]:
    """Read specs, and where a file is wrong keep what it said `before`. Never raises for a mistake in a spec.

    Gives the specs by file, and every problem.
    """
    by_file, problems = _read_all(paths, settings)
    chosen, clashes = usable(by_file, {problem.file for problem in problems}, before)
    return chosen, (*problems, *clashes)


def _read_all(paths: Iterable[Path], settings: Settings) -> tuple[dict[str, AppSpec], list[Problem]]:
    by_file: dict[str, AppSpec] = {}
    problems: list[Problem] = []
    for path in _expand(paths):
        try:
            spec = validate(strict_yaml.read(_read(path), str(path)), AppSpec, str(path))
            by_file[str(path)] = _complete(spec, settings, str(path))
        except SpecError as exc:
            problems += exc.problems
    return by_file, problems


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


def validate(parsed: strict_yaml.Parsed, model: type[M], name: str) -> M:
    """What was parsed, as this model.

    Raises:
        SpecError: every problem, with file, line and key.
    """
    written = list(parsed.problems)
    if not isinstance(parsed.data, dict):
        raise SpecError(written or [Problem(file=name, line=1, key="", message="must be a mapping of keys to values")])
    try:
        found = model.model_validate(parsed.data)
    except ValidationError as exc:
        # Told together with what is wrong in the writing: a key that stands twice must not hide the rest.
        problems = list(written)
        for error in exc.errors():
            where = error["loc"]
            message = error["msg"].removeprefix("Value error, ")
            # `version: 1.10` is a number for YAML, and pydantic's words for it do not say what to do.
            if error["type"] == "string_type" and isinstance(error["input"], int | float):
                message = f"YAML reads {error['input']!r} as a {type(error['input']).__name__}; put it in quotes"
            message = _PLAIN.get(error["type"], message)
            if error["type"] == "extra_forbidden":
                message = "is not a key we know"
            key = ".".join(str(part) for part in where)
            if not any(one.key == key and one.message != strict_yaml.TWICE for one in written):
                problems.append(Problem(file=name, line=parsed.line(where), key=key, message=message))
        raise SpecError(problems) from exc
    if written:
        raise SpecError(written)
    return found


_PLAIN = {
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
}
"""What an operator understands of the validator's words."""


def _complete(spec: AppSpec, settings: Settings, file: str) -> AppSpec:
    # Told when the spec is read, not in the night when the run needs its realm.
    if "keycloak" in spec.test_spec.needs and settings.keycloak is None:
        message = "the settings name no keycloak (docs/operate.md, Realms)"
        raise SpecError([Problem(file=file, line=0, key="tests.needs", message=message)])
    if spec.domain:
        return spec
    return spec.model_copy(update={"domain": f"warm-{spec.name}.{settings.domain_suffix or 'localhost'}"})


class RecipeYaml:
    """Compose and env files of recipes. Untrusted text, so the same strictness but for anchors."""

    def compose(self, text: bytes, name: str) -> Mapping[str, object]:
        """One compose document; RecipeError naming file and line if it does not parse."""
        from reconciler.model.errors import RecipeError

        try:
            data = strict_yaml.parse(text, name, recipe=True).data
        except SpecError as exc:
            raise RecipeError(str(exc)) from exc
        if not isinstance(data, dict):
            raise RecipeError(f"{name}: must be a mapping of keys to values")
        return data

    def tests(self, text: bytes, name: str) -> TestSpec:
        """Read it strictly; RecipeError names file, line and key."""
        from reconciler.model.errors import RecipeError

        try:
            return validate(strict_yaml.parse(text, name), TestSpec, name)
        except SpecError as exc:
            raise RecipeError(str(exc)) from exc

    def env(self, text: bytes, name: str) -> Sequence[tuple[str, str]]:
        """Names and values of an env file, line by line, as templates for `interpolate.env_value`.

        A dollar sign that quotes or a backslash protect is doubled. Of a shell script only `export NAME=value` lines
        are read; nothing is executed.
        """
        plain = text.decode("utf-8", "replace")
        if name.endswith(".sh"):
            plain = "\n".join(line for line in plain.splitlines() if line.startswith("export "))
        return [(line.name, line.template) for line in env_text.read(plain) if isinstance(line, env_text.Variable)]


class HostOverlays:
    """Overlay files that lie on the host."""

    def read(self, path: str) -> bytes:
        """Content of an absolute path; RecipeError if it cannot be read."""
        from reconciler.model.errors import RecipeError

        try:
            return _read(Path(path))
        except SpecError as exc:
            raise RecipeError(str(exc)) from exc
