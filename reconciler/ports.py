"""What the engine needs from outside, as Protocols: the only thing adapters and engine both know. Pure.

Every `observe_*` or look may raise `ObserveError` (UNKNOWN, act on nothing); every change may raise `ActError`
only if nothing changed or trying again is safe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from reconciler.model.ids import AppName, StackName
from reconciler.model.observed import ImageObs, StackObs, VolumeObs, World
from reconciler.model.recipe import ImageLookup, Tags
from reconciler.model.records import (
    Alert,
    Bundle,
    HistoryLine,
    Journal,
    KnownGood,
    Memory,
    SnapshotManifest,
    StatusReport,
)
from reconciler.model.spec import AppSpec

NamedKind = Literal["secret", "network", "config"]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One container that refers to the stack's volumes. `owned`: its service still exists and wants it."""

    id: str
    state: str
    owned: bool
    of_stack: bool
    name: str


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What the deploy tool said; proves nothing. `output`: stdout and stderr together, secrets masked."""

    code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One health request: `url_host` resolved to `address`. Deadlines in seconds."""

    scheme: str
    host: str
    address: str
    port: int
    path: str
    status: Sequence[int]
    body: str | None
    tls_verify: bool
    ca_file: str | None
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class ProbeAnswer:
    """`ok`, or the reason why not; `code` 0 when nothing answered."""

    ok: bool
    code: int
    detail: str


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds; never jumps."""

    def wait(self, seconds: float) -> None:
        """Pause between polls.

        Raises:
            Interrupted: a stop was requested.
        """


class Engine(Protocol):
    """A container engine with Swarm's notions."""

    def look(self) -> World:
        """The whole world, in a constant number of calls."""

    def observe_stack(self, stack: StackName) -> StackObs:
        """One stack with its tasks and this node's containers."""

    def undeploy(self, stack: StackName) -> None:
        """Remove the stack's services and stop their containers with their own grace; nothing else. Idempotent."""

    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        """All containers, in any state, of the stack or mounting one of the volumes."""

    def remove_dead(self, holders: Sequence[Holder]) -> None:
        """Remove stopped containers of the stack; never a running or foreign one."""

    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        """Remove single services of the stack."""

    def deploy(self, bundle: Bundle, workdir: Path) -> Deployed:
        """Send the bundle to the engine; returns when it is accepted or refused."""

    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        """The volumes that exist among `names`."""

    def create_volume(self, stack: StackName, name: str) -> VolumeObs:
        """Create an empty local volume labelled as the stack's; idempotent."""

    def observe_images(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        """The images that are present among `references`."""

    def pull(self, reference: str) -> ImageObs:
        """Fetch an image from its registry."""

    def protect_images(self, app: AppName, pinned: Sequence[str]) -> None:
        """Make exactly these images of the app survive pruning."""

    def observe_named(self, kind: NamedKind, names: Sequence[str]) -> frozenset[str]:
        """The secrets, networks or configs that exist among `names`."""

    def create_secret(self, stack: StackName, name: str, value: bytes) -> None:
        """Create a secret labelled as the stack's."""

    def remove_unused_configs(self, stack: StackName) -> None:
        """Remove configs of ours in this stack that no service uses."""


class Snapshots(Protocol):
    """Volume data, archived and put back. One snapshot per app."""

    def observe(self, app: AppName) -> SnapshotManifest | None:
        """The snapshot's manifest; None if there is none. Raises StateError if it is unreadable."""

    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], *, before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        """Archive, read back, then exchange it for the old one atomically; on failure the old one stays.

        `before_exchange` is called when the new one is whole and the old one is about to go.
        """

    def verify(self, app: AppName) -> tuple[str, ...]:
        """Read everything back; the problems found, none = good."""

    def restore(self, app: AppName, volumes: Sequence[VolumeObs], op_id: str) -> None:
        """Stage beside, verify, exchange atomically; the data replaced is kept aside. Idempotent per `op_id`."""

    def set_aside(self, volumes: Sequence[VolumeObs], op_id: str) -> None:
        """Empty volumes that the snapshot does not have; their data is kept aside. Idempotent per `op_id`."""

    def forget_aside(self, volumes: Sequence[VolumeObs]) -> None:
        """Delete data kept aside."""

    def room(self, app: AppName, volumes: Sequence[VolumeObs]) -> "Room":
        """How much the volumes hold and how much is free where it matters."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes. `short` names each file system that has too little room for a snapshot and a way back."""

    used: int
    free_snapshots: int
    free_volumes: int
    same_filesystem: bool


class Registry(Protocol):
    """Where images come from."""

    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        """One answer per reference; never raises. Batched per registry. `details`: also when it was created."""


class Recipes(Protocol):
    """Git mirrors of recipes."""

    def fetch(self, url: str) -> None:
        """Bring the mirror up to date.

        Raises:
            RecipeError: the old state stays.
        """

    def tags(self, url: str) -> Tags:
        """Tags of the mirror."""

    def files(self, url: str, commit: str) -> Mapping[str, bytes]:
        """Every regular file of the recipe at that commit, by path. Raises RecipeError if the commit is gone."""

    def notes(self, url: str, commit: str, versions: Sequence[str]) -> Mapping[str, str]:
        """Release notes of those versions as they stand at `commit`, from all known places."""


class Overlays(Protocol):
    """Overlay files that lie on the host."""

    def read(self, path: str) -> bytes:
        """Content of an absolute path; RecipeError if it cannot be read."""


class Store(Protocol):
    """Our records per app. Reading raises StateError for anything torn, newer or foreign; it is never reset."""

    def known_good(self, app: AppName) -> KnownGood | None:
        """None if there is none."""

    def put_known_good(self, record: KnownGood) -> None:
        """One rename; also renews the derived `last_good`."""

    def memory(self, app: AppName) -> Memory:
        """Empty if there is none."""

    def put_memory(self, record: Memory) -> None:
        """One rename."""

    def journal(self, app: AppName) -> Journal | None:
        """None if nothing is under way."""

    def put_journal(self, record: Journal) -> None:
        """One rename; durable when it returns."""

    def close_journal(self, app: AppName) -> None:
        """Remove it; durable when it returns."""

    def bundle(self, app: AppName, bundle_id: str) -> Bundle:
        """A rendered release. StateError if it is missing or its digest is wrong."""

    def put_bundle(self, bundle: Bundle) -> None:
        """Idempotent."""

    def prune_bundles(self, app: AppName, keep: Sequence[str]) -> None:
        """Remove rendered releases that nothing refers to."""

    def put_status(self, report: StatusReport) -> None:
        """Publish the result of a pass."""

    def status(self) -> StatusReport | None:
        """The last published result; None if there is none or it is unreadable (it is derived, so nothing is lost)."""


class History(Protocol):
    """`history.jsonl`."""

    def append(self, line: HistoryLine) -> None:
        """Exactly once per `op_id`, whatever crashes."""


class Alerts(Protocol):
    """`alerts/`."""

    def raise_(self, alert: Alert, *, anew: bool = False) -> None:
        """Create, or update the open one with the same fingerprint; durable when it returns.

        An acknowledged condition that still stands stays quiet, unless it happened `anew`.
        """

    def resolve(self, app: AppName, keep: Sequence[str], *, spare: str | None = None) -> None:
        """Move open conditions of the app whose fingerprint is not in `keep` to seen/ as resolved.

        `spare`: alerts of this operation are left alone.
        """


class Held(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Let go."""


class Locks(Protocol):
    """One exclusive lock per app."""

    def acquire(self, app: AppName, what: str) -> Held:
        """Never waits.

        Raises:
            LockBusy: somebody else holds it.
        """


class Prober(Protocol):
    """Health requests."""

    def probe(self, probe: Probe) -> ProbeAnswer:
        """Ends within the probe's deadline, never raises."""


class SecretSource(Protocol):
    """Values for new secrets."""

    def value(self, spec: AppSpec, name: str) -> bytes:
        """From the file the spec names, or generated. RecipeError if the file cannot be read."""


class Yaml(Protocol):
    """A strict YAML reader for compose files and env files of recipes."""

    def compose(self, text: bytes, name: str) -> Mapping[str, object]:
        """One compose document; RecipeError naming file and line if it does not parse."""

    def env(self, text: bytes, name: str) -> Mapping[str, str]:
        """Variables of an env file, not interpolated."""


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
    locks: Locks
    prober: Prober
    secrets: SecretSource
    yaml: Yaml
    clock: Clock
    workdir: Path
    effect: Callable[[str], None] = field(default=no_crash)
    progress: Callable[[str, str], None] = field(default=lambda _app, _text: None)
