"""The machine: its file systems and what readiness depends on. Pure."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One file system, in bytes. `percent` counts what ordinary users may not use as used, as df(1) does."""

    path: str
    used: int
    free: int
    percent: int


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part that readiness depends on. `error_class`: the exception's type name; both empty when it is fine."""

    name: str
    status: str
    error: str = ""
    error_class: str = ""


Check = Callable[[], str]
"""Says in a few words that a part is fine, or raises what is wrong with it."""
