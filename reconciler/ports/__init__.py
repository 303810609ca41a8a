"""What the engine needs from outside, as Protocols: the only thing adapters and engine both know. Pure.

Every `observe_*` or look may raise `ObserveError` (UNKNOWN, act on nothing); every change may raise `ActError`
only if nothing changed or trying again is safe.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.ports.data import Alerts, Held, History, Locks, Room, Snapshots, Store
from reconciler.ports.engine import Deployed, Engine, Events, Executed, Holder, NamedKind
from reconciler.ports.outside import (
    Clock,
    Overlays,
    Probe,
    ProbeAnswer,
    Prober,
    Recipes,
    Registry,
    SecretSource,
    Stop,
    Yaml,
)
from reconciler.ports.runs import Canonicals, Seeds

__all__ = [
    "Alerts",
    "Canonicals",
    "Clock",
    "Deployed",
    "Engine",
    "Events",
    "Executed",
    "Held",
    "History",
    "Holder",
    "Locks",
    "NamedKind",
    "Overlays",
    "Ports",
    "Probe",
    "ProbeAnswer",
    "Prober",
    "Recipes",
    "Registry",
    "Room",
    "SecretSource",
    "Seeds",
    "Snapshots",
    "Stop",
    "Store",
    "Yaml",
    "no_crash",
]


def no_crash(_point: str) -> None:
    """The effect hook of production: nothing happens at a crash point."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything outside, in one value; built by `app` (real) or by tests (fakes).

    `effect(name)` is called before and after every effect: tests stop the program there.
    """

    engine: Engine
    snapshots: Snapshots
    registry: Registry
    recipes: Recipes
    overlays: Overlays
    store: Store
    history: History
    alerts: Alerts
    canonicals: Canonicals
    seeds: Seeds
    locks: Locks
    prober: Prober
    secrets: SecretSource
    yaml: Yaml
    clock: Clock
    workdir: Path
    effect: Callable[[str], None] = field(default=no_crash)
    progress: Callable[[str, str], None] = field(default=lambda _app, _text: None)
