"""Variables of a compose document, and what becomes a number or a boolean of them. Pure.

By the place in the document, as Docker has it: a label called `replicas` is text. Where a value does not fit it stays
text, which the deploy tool refuses there with words of its own.
"""

import re
from collections.abc import Callable, Mapping

from reconciler.core.release import interpolate

Cast = Callable[[str], object]
Place = tuple[str, ...]

_INTEGER = re.compile(r"[-+]?\d{1,19}", re.ASCII)
_OCTAL = re.compile(r"0o?[0-7]{1,6}")
_FLOAT = re.compile(r"[-+]?(\d{1,19}(\.\d{0,19})?|\.\d{1,19})([eE][-+]?\d{1,2})?", re.ASCII)
_WORDS = dict.fromkeys(("y", "yes", "true", "on"), True) | dict.fromkeys(("n", "no", "false", "off"), False)


def _integer(value: str) -> object:
    return int(value) if _INTEGER.fullmatch(value) else value


def _mode(value: str) -> object:
    """Permissions are octal wherever they stand; Docker takes those of variables for decimal (docs/specs.md)."""
    return int(value.removeprefix("0o"), 8) if _OCTAL.fullmatch(value) else _integer(value)


def _float(value: str) -> object:
    return float(value) if _FLOAT.fullmatch(value) else value


def _boolean(value: str) -> object:
    return _WORDS.get(value.lower(), value)


_UPDATE: dict[Place, Cast] = {("parallelism",): _integer, ("max_failure_ratio",): _float}
_SERVICE: dict[Place, Cast] = {
    ("configs", "[]", "mode"): _mode,
    ("secrets", "[]", "mode"): _mode,
    ("deploy", "placement", "max_replicas_per_node"): _integer,
    ("deploy", "replicas"): _integer,
    ("deploy", "resources", "limits", "pids"): _integer,
    ("deploy", "restart_policy", "max_attempts"): _integer,
    **{("deploy", "rollback_config", *place): cast for place, cast in _UPDATE.items()},
    **{("deploy", "update_config", *place): cast for place, cast in _UPDATE.items()},
    ("healthcheck", "disable"): _boolean,
    ("healthcheck", "retries"): _integer,
    ("init",): _boolean,
    ("oom_score_adj",): _integer,
    ("ports", "[]", "published"): _integer,
    ("ports", "[]", "target"): _integer,
    ("privileged",): _boolean,
    ("read_only",): _boolean,
    ("stdin_open",): _boolean,
    ("tty",): _boolean,
    ("ulimits", "*"): _integer,
    ("ulimits", "*", "hard"): _integer,
    ("ulimits", "*", "soft"): _integer,
    ("volumes", "[]", "read_only"): _boolean,
    ("volumes", "[]", "tmpfs", "size"): _integer,
    ("volumes", "[]", "volume", "nocopy"): _boolean,
}
_CASTS: dict[Place, Cast] = {
    **{("services", "*", *place): cast for place, cast in _SERVICE.items()},
    **{(section, "*", "external"): _boolean for section in ("networks", "volumes", "secrets", "configs")},
    ("networks", "*", "attachable"): _boolean,
    ("networks", "*", "internal"): _boolean,
}
"""`*`: any name, `[]`: any entry of a list."""


def tree(document: object, env: Mapping[str, str]) -> object:
    """Replace variables in every string of a document; numbers and booleans that came from one are cast.

    Raises:
        InterpolationError: as `interpolate.text`.
    """
    return _tree(document, env, ())


def _tree(value: object, env: Mapping[str, str], place: Place) -> object:
    if isinstance(value, Mapping):
        return {name: _tree(item, env, (*place, str(name))) for name, item in value.items()}
    if isinstance(value, list):
        return [_tree(item, env, (*place, "[]")) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    return _cast(place, interpolate.text(value, env))


def _cast(place: Place, value: str) -> object:
    for known, cast in _CASTS.items():
        if len(known) == len(place) and all(key in ("*", name) for key, name in zip(known, place, strict=True)):
            return cast(value)
    return value
