"""`${VAR}` in compose files as Docker's loader reads it, and in env files as their readers do. Pure.

Own code: Docker's CLI does this only while it deploys, and no Python library implements the compose dialect. What
differs from Docker on purpose is listed in docs/specs.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_DEPTH = 16
MAX_TEXT = 256 << 10


class InterpolationError(ValueError):
    """A `${...}` that does not parse, or a required variable that is not set."""


@dataclass(frozen=True)
class _Dialect:
    """What a dollar sign means where no braces follow it. `names`: `$NAME` is a variable, `$$` a dollar sign."""

    names: bool
    strict: bool
    """Whether one that names nothing is an error; else it stands for itself."""


_COMPOSE = _Dialect(names=True, strict=True)
_COMPOSE_WORD = _Dialect(names=False, strict=False)
"""The word after `:-` and its like is text to Docker. Variables in braces are read in it, as they are meant."""
_ENV_FILE = _Dialect(names=True, strict=False)


def text(template: str, env: Mapping[str, str]) -> str:
    """Replace variables in one string of a compose file; an unset one becomes empty, `$$` becomes `$`.

    Raises:
        InterpolationError: malformed, nested too deep, or `${VAR:?message}` unset.
    """
    return _replace(template, env, _COMPOSE, 0)


def env_value(template: str, env: Mapping[str, str]) -> str:
    """Replace variables in a value of an env file, where a `$` that names nothing stands for itself.

    Raises:
        InterpolationError: `${...}` is malformed, nested too deep, or `${VAR:?message}` unset.
    """
    return _replace(template, env, _ENV_FILE, 0)


def _replace(template: str, env: Mapping[str, str], dialect: _Dialect, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise InterpolationError(f"variables nested too deep in {template[:60]!r}")
    out: list[str] = []
    at = 0
    while (dollar := template.find("$", at)) >= 0:
        out.append(template[at:dollar])
        replaced, at = _replace_one(template, dollar, env, dialect, depth)
        out.append(replaced)
    out.append(template[at:])
    if sum(map(len, out)) > MAX_TEXT:
        raise InterpolationError(f"{template[:60]!r} expands to more than {MAX_TEXT >> 10} KiB")
    return "".join(out)


def _replace_one(template: str, dollar: int, env: Mapping[str, str], dialect: _Dialect, depth: int) -> tuple[str, int]:
    """What the dollar sign at that place becomes, and where the text goes on."""
    after = dollar + 1
    if template.startswith("$", after):
        return ("$" if dialect.names else "$$"), after + 1
    if template.startswith("{", after):
        end = _closing(template, after)
        body = template[after + 1 : end]
        if end > 0 and (dialect.strict or _NAME.match(body)):
            return _replace_braced(body, env, dialect, depth), end + 1
        if dialect.strict:
            raise InterpolationError(f"'${{' is not closed in {template[:80]!r}")
    elif dialect.names and (found := _NAME.match(template, after)):
        return env.get(found[0], ""), after + len(found[0])
    elif dialect.strict:
        raise InterpolationError(f"invalid '$' in {template[:80]!r}; write '$$' for a dollar sign")
    return "$", after


def _closing(template: str, opening: int) -> int:
    """Where the brace is closed, -1 if it never is."""
    depth = 0
    for index in range(opening, len(template)):
        if template[index] == "{" and template[index - 1] == "$":
            depth += 1
            if depth > _MAX_DEPTH:
                raise InterpolationError(f"variables nested too deep in {template[:60]!r}")
        elif template[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    # An inner `${` that is never closed is text, as all of the word is to Docker.
    return template.find("}", opening)


def _replace_braced(body: str, env: Mapping[str, str], dialect: _Dialect, depth: int) -> str:
    found = _NAME.match(body)
    if found is None:
        raise InterpolationError(f"'${{{body[:40]}}}' does not name a variable")
    name, rest = found[0], body[len(found[0]) :]
    if not rest:
        return env.get(name, "")
    operator = rest[:2] if rest[:2] in (":-", ":?", ":+") else rest[:1]
    if operator not in (":-", "-", ":?", "?", ":+", "+"):
        raise InterpolationError(f"'${{{body[:40]}}}' has no operator that compose knows")
    word, value = rest[len(operator) :], env.get(name)
    present = bool(value) if operator.startswith(":") else value is not None
    inner = _ENV_FILE if dialect is _ENV_FILE else _COMPOSE_WORD
    match operator[-1]:
        case "-":
            return value if present and value is not None else _replace(word, env, inner, depth + 1)
        case "+":
            return _replace(word, env, inner, depth + 1) if present else ""
        case _:
            if present and value is not None:
                return value
            raise InterpolationError(f"variable {name} is required: {word or 'not set'}")


def escape(value: object) -> object:
    """Double every dollar sign so that the deploy tool's own interpolation gives back this value."""
    if isinstance(value, Mapping):
        return {name: escape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [escape(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
