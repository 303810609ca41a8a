"""The pydantic bases and field types that specs, settings and records share. Pure."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_MOST_S = 100 * 365 * 86400.0
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Strict(BaseModel):
    """What an operator writes: unknown keys are errors, values never change afterwards.

    A default that is one of these is made by `model_construct`, or its validator would be built at every start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False, defer_build=True)


class Record(BaseModel):
    """What we write ourselves; see `records`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


def parse_duration(value: object) -> object:
    """Turn `90s`, `10m`, `1.5h`, `500ms` into seconds; leave other types for pydantic to refuse.

    Raises:
        ValueError: text that is not a duration.
    """
    if isinstance(value, bool):
        raise ValueError("a duration is text like '10s', '5m' or '2h'")
    if isinstance(value, int | float):
        return _bounded(float(value))
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is not a duration; write it like '10s', '5m' or '2h'")
    return _bounded(float(found[1]) * _UNIT_S[found[2]])


def _bounded(seconds: float) -> float:
    """One that no clock can be moved by is a slip of the finger."""
    if not seconds <= _MOST_S:
        raise ValueError("is longer than 100 years")
    return seconds


Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A duration; operators write `10s`, `5m`, `2h`; we hold seconds."""


def _variables(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise ValueError(f"{key!r} is not a variable name")
    return value


Variables = Annotated[dict[str, str], AfterValidator(_variables)]
"""Environment variables by name."""

Json = dict[str, Any]
"""A JSON object from outside that has not been parsed into a type of ours yet."""
