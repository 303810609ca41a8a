"""Desired state as the daemon works with it. Pure."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import Problem
from reconciler.model.settings import Settings
from reconciler.ports.events import Events


@dataclass(frozen=True, kw_only=True)
class Desired:
    """Desired state as it can be used now, and everything that acts on it.

    `problems`: mistakes in the operator's files; what they concern is as it was before. `by_file`: specs by their file.
    `stamp`: what the files were stamped with before they were read.
    """

    settings: Settings
    specs: tuple[AppSpec, ...]
    by_file: Mapping[str, AppSpec]
    ports: Ports
    events: Events
    stamp: Hashable = None
    problems: tuple[Problem, ...] = field(default=())


class DesiredState(Protocol):
    """The operator's files."""

    def stamp(self) -> Hashable:
        """Moves when one of them changed."""

    def load(self, before: Desired | None) -> Desired:
        """Read them all. With `before` mistakes are reported, not raised.

        Raises:
            SpecError: the settings cannot be used, and there is no `before`.
            StateError: the state root is not safe to use.
        """
