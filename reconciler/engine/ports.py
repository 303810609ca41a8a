"""Everything outside that the engine works with, in one value. Holds nothing of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.ports.clock import Clock
from reconciler.ports.effects import Effect, no_effect
from reconciler.ports.engine import Engine
from reconciler.ports.node import Node
from reconciler.ports.prober import Prober
from reconciler.ports.progress import Tell, silent
from reconciler.ports.recipes import Recipes
from reconciler.ports.registry import Registry
from reconciler.state.alerts import AlertStore
from reconciler.state.canonicals import CanonicalStore
from reconciler.state.disturbances import DisturbanceFile
from reconciler.state.history import HistoryFile
from reconciler.state.locks import Locks
from reconciler.state.record_store import RecordStore
from reconciler.state.requests import RequestSender
from reconciler.state.secret_values import SecretValues
from reconciler.state.specs import HostOverlays, RecipeYaml


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything outside, in one value; built by `app` (real) or by tests (fakes).

    `effect(name)` is called before and after every effect: tests stop the program there. `progress(app, text)`: what is
    done now; `tell`: how far what takes long has come.
    """

    engine: Engine
    node: Node
    registry: Registry
    recipes: Recipes
    overlays: HostOverlays
    store: RecordStore
    history: HistoryFile
    alerts: AlertStore
    disturbances: DisturbanceFile
    canonicals: CanonicalStore
    requests: RequestSender
    locks: Locks
    prober: Prober
    secrets: SecretValues
    yaml: RecipeYaml
    clock: Clock
    workdir: Path
    effect: Effect = field(default=no_effect)
    progress: Callable[[str, str], None] = field(default=lambda _app, _text: None)
    tell: Tell = field(default=silent)
