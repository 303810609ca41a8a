"""`${VAR}` in compose files, as the compose format defines it. Pure.

Own code: Docker's CLI does this only while it deploys, and no Python library implements the compose dialect.
"""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CAST_KEYS = frozenset(
    {
        "replicas",
        "retries",
        "parallelism",
        "max_attempts",
        "target",
        "published",
        "external",
        "attachable",
        "internal",
        "privileged",
        "read_only",
        "tty",
        "stdin_open",
        "init",
        "disable",
        "mode",
        "max_replicas_per_node",
        "nocopy",
        "size",
        "pids",
        "soft",
        "hard",
        "nofile",
        "nproc",
        "max_failure_ratio",
    }
)
_TEXT_SECTIONS = frozenset({"environment", "labels", "driver_opts", "args", "options"})
"""Whose keys are the recipe's own words, so that their values stay text."""
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,18})")
_OCTAL = re.compile(r"0o?[0-7]{1,6}")
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,9}")
_MAX_DEPTH = 16
MAX_TEXT = 256 << 10


class InterpolationError(ValueError):
    """A `${...}` that does not parse, or a required variable that is not set."""


def text(template: str, env: Mapping[str, str], depth: int = 0) -> str:
    """Replace variables in one string; an unset one becomes empty, `$$` becomes `$`.

    Raises:
        InterpolationError: malformed, nested too deep, or `${VAR:?message}` unset.
    """
    if depth > _MAX_DEPTH:
        raise InterpolationError(f"variables nested too deep in {template[:60]!r}")
    out: list[str] = []
    at = 0
    while (dollar := template.find("$", at)) >= 0:
        out.append(template[at:dollar])
        rest = template[dollar + 1 :]
        if rest.startswith("$"):
            out.append("$")
            at = dollar + 2
        elif rest.startswith("{"):
            end = _closing(template, dollar + 1)
            out.append(_parse_braced(template[dollar + 2 : end], env, depth))
            at = end + 1
        elif found := _NAME.match(rest):
            out.append(env.get(found[0], ""))
            at = dollar + 1 + len(found[0])
        else:
            raise InterpolationError(f"invalid '$' in {template[:80]!r}; write '$$' for a dollar sign")
    out.append(template[at:])
    if sum(map(len, out)) > MAX_TEXT:
        raise InterpolationError(f"{template[:60]!r} expands to more than {MAX_TEXT >> 10} KiB")
    return "".join(out)


def _closing(template: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(template)):
        if template[index] == "{" and template[index - 1] == "$":
            depth += 1
        elif template[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise InterpolationError(f"'${{' is not closed in {template[:80]!r}")


def _parse_braced(body: str, env: Mapping[str, str], depth: int) -> str:
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
    match operator[-1]:
        case "-":
            return value if present and value is not None else text(word, env, depth + 1)
        case "+":
            return text(word, env, depth + 1) if present else ""
        case _:
            if present and value is not None:
                return value
            raise InterpolationError(f"variable {name} is required: {text(word, env, depth + 1) or 'not set'}")


def tree(value: object, env: Mapping[str, str], key: str = "") -> object:
    """Replace variables in every string below `value`; numbers and booleans that came from one are cast."""
    if isinstance(value, Mapping):
        literal = key in _TEXT_SECTIONS
        return {name: tree(item, env, "" if literal else str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [tree(item, env, key) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    return _cast(key, text(value, env))


def _cast(key: str, value: str) -> object:
    if key not in _CAST_KEYS:
        return value
    if key == "mode" and _OCTAL.fullmatch(value):
        return int(value, 8)
    if _NUMBER.fullmatch(value):
        return int(value)
    if key == "max_failure_ratio" and _DECIMAL.fullmatch(value):
        return float(value)
    return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(value.lower(), value)


def escape(value: object) -> object:
    """Double every dollar sign so that the deploy tool's own interpolation gives back this value."""
    if isinstance(value, Mapping):
        return {name: escape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [escape(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
