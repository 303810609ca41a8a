"""A spec that a program wrote down for a human to read, and what it could not find out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What could not be taken over. `key`: the key of the spec that it is about, '' if about none."""

    key: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`spec`: as in the file that is written, in the order of its keys."""

    name: str
    spec: Mapping[str, object]
    doubts: tuple[Doubt, ...] = ()
