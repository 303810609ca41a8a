"""Composition root: settings in, real adapters built here and nowhere else. Effects: makes the state folders.

Called by `cli` and `demo`. Heavy libraries are imported where they are used, so that `--help` stays fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.git import GitRecipes
from reconciler.adapters.probe import SystemProber
from reconciler.core.suggest import suggest
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import UsageError
from reconciler.model.settings import Settings
from reconciler.node.local import LocalNode
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.ports.effects import no_effect
from reconciler.ports.engine import Engine
from reconciler.ports.node import Containers
from reconciler.ports.progress import NOBODY, Listener
from reconciler.ports.registry import Registry
from reconciler.state import files, reserve, specs
from reconciler.state.alerts import AlertStore
from reconciler.state.canonicals import CanonicalStore
from reconciler.state.disturbances import DisturbanceFile
from reconciler.state.history import HistoryFile
from reconciler.state.locks import Locks
from reconciler.state.record_store import RecordStore
from reconciler.state.requests import RequestSender
from reconciler.state.runs import RunStore
from reconciler.state.secret_values import SecretValues
from reconciler.state.sweeps import SweepStore

if TYPE_CHECKING:
    from reconciler.engine.host.sweep import CommandBefore
    from reconciler.engine.host.sweep_runs import Tests
    from reconciler.engine.testrun.environment import RunEnvironment
    from reconciler.engine.testrun.realms import RealmContext

DEFAULT_CONFIG = Path("/etc/ci-warm/config.yaml")
DEFAULT_STATE = Path("/var/lib/ci-warm")


@dataclass(frozen=True, kw_only=True)
class App:
    """Everything a command needs. `history` and `alerts` are the concrete adapters, for listing."""

    settings: Settings
    specs: tuple[AppSpec, ...]
    ports: Ports
    state: Path
    store: RecordStore
    alerts: AlertStore
    history: HistoryFile
    clock: SystemClock
    snapshots: FolderSnapshots
    sweeps: SweepStore
    recipes: GitRecipes
    runs: RunStore

    def spec(self, name: str) -> AppSpec:
        """The spec of that name.

        Raises:
            UsageError: there is none.
        """
        found = next((spec for spec in self.specs if spec.name == name), None)
        if found is None:
            names = ", ".join(spec.name for spec in self.specs) or "none"
            near = suggest(name, [spec.name for spec in self.specs])
            raise UsageError(f"no app is named {name!r}{near}; there are: {names}")
        return found


def build(
    config: Path,
    state: Path,
    *,
    effect: Callable[[str], None] = no_effect,
    listener: Listener = NOBODY,
    clock: SystemClock | None = None,
) -> App:
    """Read the operator's files and put the program together.

    Raises:
        SpecError: settings or specs are wrong.
        StateError: the state root is not safe to use.
    """
    settings = specs.read_settings(config)
    loaded = specs.read_specs(specs.folders(config), settings)
    return assemble(settings, loaded, state, effect=effect, listener=listener, clock=clock)


def assemble(
    settings: Settings,
    loaded: tuple[AppSpec, ...],
    state: Path,
    *,
    effect: Callable[[str], None] = no_effect,
    listener: Listener = NOBODY,
    clock: SystemClock | None = None,
) -> App:
    """Build the adapters for these settings below this state root."""
    gid = files.group_id(settings.group)
    prepare_state(state, gid)
    clock = clock or SystemClock()
    store = RecordStore(state, settings.group)
    alerts = AlertStore(state / "alerts", gid, settings.remind_after)
    alerts.prepare()
    history = HistoryFile(state / "history.jsonl", gid)
    snapshots = FolderSnapshots(state, effect, clock.check_urgent, listener.tell)
    sweeps = SweepStore(state / "sweeps", gid)
    sweeps.prepare()
    engine, containers, registry = engine_of(settings, state)
    recipes = GitRecipes(state / "recipes", settings.git, clock.monotonic)
    runs = RunStore(state / "runs", gid, clock.now)
    runs.prepare()
    ports = Ports(
        engine=engine,
        node=LocalNode(containers=containers, snapshots=snapshots),
        registry=registry,
        recipes=recipes,
        canonicals=CanonicalStore(state, gid),
        requests=RequestSender(state / "requests", gid),
        overlays=specs.HostOverlays(),
        store=store,
        history=history,
        alerts=alerts,
        disturbances=DisturbanceFile(state / "disturbances.json"),
        locks=Locks(state / "locks", clock.now),
        prober=SystemProber(),
        secrets=SecretValues(),
        yaml=specs.RecipeYaml(),
        clock=clock,
        workdir=state / "work",
        effect=effect,
        progress=listener.step,
        tell=listener.tell,
    )
    return App(
        settings=settings,
        specs=loaded,
        ports=ports,
        state=state,
        store=store,
        alerts=alerts,
        history=history,
        clock=clock,
        snapshots=snapshots,
        sweeps=sweeps,
        recipes=recipes,
        runs=runs,
    )


def prepare_state(state: Path, gid: int | None) -> None:
    """Make the state root and its folders; refuse one that others could change."""
    if not state.exists():
        state.mkdir(mode=files.ROOT_DIR, parents=True)
        state.chmod(files.ROOT_DIR)
    # Before anything is read or written below it: what lies in a root that others can change cannot be
    # trusted.
    files.check_root(state)
    for name in ("recipes", "locks", "work"):
        files.keep_folder(state / name)
    # Each start, not only the first: the group may have been made, or named, since.
    for name in ("alerts", "sweeps"):
        files.keep_folder(state / name, files.PUBLIC_DIR, gid)
    for name in ("history.jsonl", "status.json"):
        files.publish_file(state / name, gid)
    reserve.fill(state)


def engine_of(settings: Settings, state: Path) -> tuple[Engine, Containers, Registry]:
    """The engine that the settings name, its containers here, and the registry that belongs to it."""
    if settings.engine == "embedded":
        from reconciler.adapters.embedded.engine import EmbeddedEngine

        embedded = EmbeddedEngine(state / "engine")
        embedded.prepare()
        return embedded, embedded, embedded.images
    from reconciler.adapters.registry import HttpRegistry
    from reconciler.adapters.swarm.engine import SwarmEngine

    swarm = SwarmEngine(settings.docker_host, settings.limits)
    return swarm, swarm, HttpRegistry(settings.registries)


def realm_context(app: App) -> "RealmContext":
    """What realms need: the live Keycloak of the settings, asked at the domain and address of its spec.

    Raises:
        UsageError: the settings name none, or its password cannot be read.
    """
    from reconciler.adapters.keycloak import KeycloakRealms, Server
    from reconciler.engine.testrun.realms import RealmContext
    from reconciler.state.realms import RealmStore

    settings = app.settings.keycloak
    if settings is None:
        raise UsageError("the settings name no keycloak; see docs/operate.md, Realms")
    spec = app.spec(settings.app)
    try:
        password = Path(settings.password_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"keycloak.password_file {settings.password_file} cannot be read: {exc}") from exc
    if not password:
        raise UsageError(f"keycloak.password_file {settings.password_file} is empty")
    # The realm's server is asked as the app's own probe asks it, past DNS and with the same CA.
    health = spec.health
    server = Server(
        scheme=health.scheme,
        domain=spec.domain,
        address=health.address,
        password=password,
        admin=settings.admin,
        port=health.port or (443 if health.scheme == "https" else 80),
        verify=(health.ca_file or True) if health.tls_verify else False,
    )
    store = RealmStore(app.state / "realms", app.clock.now)
    return RealmContext(
        realms=KeycloakRealms(server), store=store, alerts=app.ports.alerts, clock=app.ports.clock, settings=settings
    )


def run_environment(app: App) -> "RunEnvironment":
    """What test runs need."""
    from reconciler.adapters import host
    from reconciler.adapters.checks import CommandChecks
    from reconciler.adapters.git_refs import GitRefs
    from reconciler.engine.testrun.environment import RunEnvironment

    return RunEnvironment(
        ports=app.ports,
        settings=app.settings,
        specs=app.specs,
        runs=app.runs,
        refs=GitRefs(app.recipes),
        metadata=specs.RecipeYaml(),
        node_at=lambda state: LocalNode(
            containers=app.ports.node.containers, snapshots=FolderSnapshots(state, tell=app.ports.tell)
        ),
        checks=CommandChecks(app.clock.wait),
        realm_context=lambda: realm_context(app),
        usages=lambda paths: host.usages([app.state, *map(Path, paths)]),
    )


def sweep_command(app: App) -> "CommandBefore":
    """What a sweep runs first."""
    from reconciler.adapters.sweep_command import SweepCommand

    return SweepCommand(app.sweeps.folder)


def cold_runs(app: App, config: Path, program: Callable[[Sequence[str]], None]) -> "Tests":
    """The sweep's cold runs, through this command line."""
    from reconciler.adapters.sweep_processes import ColdRuns

    return ColdRuns(program, config, app.state, app.state / "sweeps", app.clock.wait)
