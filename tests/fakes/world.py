"""A host in memory: an engine whose apps really write files, a recipe repository, a prober and a clock.

The state root and the volumes are real folders, so that records, snapshots and restores are the real ones. The fake
watches the invariants itself: `violations` lists every moment at which data was in danger.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.app import prepare_state
from reconciler.core.release import compose
from reconciler.core.release.digest import digest
from reconciler.core.release.render import add_labels
from reconciler.engine.host import one_pass
from reconciler.engine.live.report import Report
from reconciler.engine.ports import Ports
from reconciler.model.alert import Alert
from reconciler.model.app import AppSpec
from reconciler.model.disturbance import NodeObs
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.history import HistoryLine
from reconciler.model.ids import AppName, RunName, StackName
from reconciler.model.moved import Amount
from reconciler.model.observed import (
    ImageObs,
    Inventory,
    NetworkObs,
    Others,
    ServiceMode,
    ServiceObs,
    StackObs,
    StoredImage,
    TaskObs,
    VolumeObs,
    World,
)
from reconciler.model.probe import Probe, ProbeAnswer
from reconciler.model.recipe import ImageLookup, Tags
from reconciler.model.release import Bundle
from reconciler.model.settings import Limits, Settings
from reconciler.model.snapshot import SnapshotManifest
from reconciler.node.local import LocalNode
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.ports.engine import Deployed, NamedKind, Pulled, unheard
from reconciler.ports.node import Executed, Holder
from reconciler.state.alerts import AlertStore
from reconciler.state.canonicals import CanonicalStore
from reconciler.state.disturbances import DisturbanceFile
from reconciler.state.history import HistoryFile
from reconciler.state.locks import Locks
from reconciler.state.record_store import RecordStore
from reconciler.state.requests import RequestSender
from reconciler.state.secret_values import SecretValues
from reconciler.state.specs import HostOverlays, RecipeYaml
from tests.builders import NOW


class Crash(BaseException):
    """The program is gone at this point; nothing may catch it."""


@dataclass
class Clock:
    """Time that passes only when the program waits."""

    seconds: float = 0.0
    start: datetime = NOW

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Behaviour:
    """What an image does. `schema`: what it makes of its data; `fails`: before or after that, or its health."""

    schema: int = 1
    fails: str = ""


@dataclass
class Running:
    """One service as the fake engine holds it."""

    spec: dict[str, object]
    service_id: str
    version: int
    stack: StackName
    tasks: list[TaskObs] = field(default_factory=list)


@dataclass
class FakeEngine:
    """`ports.Engine`. `fault(call)` may raise before or after any call takes effect."""

    root: Path
    clock: Clock
    images: dict[str, Behaviour] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    services: dict[tuple[StackName, str], Running] = field(default_factory=dict)
    volumes: dict[str, VolumeObs] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    pins: dict[str, list[str]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    stored: list[StoredImage] = field(default_factory=list)
    lingering: int = 0
    strangers: tuple[Holder, ...] = ()
    stale_looks: list[World] = field(default_factory=list)
    kills: tuple[str, ...] = ()
    foreign: str = ""
    says: str = ""
    fails_commands: bool = False
    forgets: bool = False
    forgotten: dict[str, tuple[Running, Bundle]] = field(default_factory=dict)
    on_undeploy: Callable[[], None] = lambda: None
    fault: Callable[[str, str], None] = lambda _call, _when: None
    counter: int = 0
    nodes: tuple[NodeObs, ...] = ()
    others: Others = field(default_factory=Others)
    words: dict[str, str] = field(default_factory=dict)
    refuses: tuple[str, ...] | None = None
    networks: dict[str, NetworkObs] = field(default_factory=dict)
    network_users: tuple[str, ...] = ()

    def _id(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    def _called(self, call: str, *, changes: bool = False) -> None:
        self.fault(call, "before")
        if changes:
            self.changes.append(call)

    def check(self) -> None:
        self._called("check")

    def check_tools(self) -> None:
        self._called("check_tools")

    def inventory(self) -> Inventory:
        self._called("inventory")
        return Inventory(images=tuple(self.stored))

    def remove_image(self, image_id: str, references: Sequence[str]) -> bool:
        self._called("remove_image", changes=True)
        self.stored = [image for image in self.stored if image.id != image_id]
        return True

    def look(self) -> World:
        self._called("look")
        if self.stale_looks:
            return self.stale_looks.pop()
        stacks = {stack: self._stack(stack) for stack, _ in self.services}
        return World(
            at=self.clock.now(),
            engine="fake",
            node_id="n1",
            stacks=stacks,
            volumes=dict(self.volumes),
            nodes=self.nodes,
        )

    def observe_stack(self, stack: StackName) -> StackObs:
        self._called("observe_stack")
        return self._stack(stack)

    def _stack(self, stack: StackName) -> StackObs:
        mine = {name: running for (owner, name), running in self.services.items() if owner == stack}
        return StackObs(
            services=tuple(_observed(name, running) for name, running in mine.items()),
            tasks=tuple(task for running in mine.values() for task in running.tasks),
            nodes=self.nodes,
            networks=tuple(one for name, one in self.networks.items() if name.startswith(f"{stack}_")),
        )

    def hasten(self, seen: StackObs) -> None: ...

    def wake(self, stack: StackName, names: Sequence[str]) -> None:
        self._called("wake", changes=True)
        self.forgets = False
        for name in names:
            running, bundle = self.forgotten.pop(name)
            running.tasks.clear()
            self._run(running, bundle)

    def undeploy(self, stack: StackName) -> tuple[str, ...]:
        self._called("undeploy", changes=True)
        for key in [key for key in self.services if key[0] == stack]:
            del self.services[key]
        self.lingering = 2
        self.on_undeploy()
        self.fault("undeploy", "after")
        return self.kills

    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        self._called("remove_services", changes=True)
        for name in names:
            self.services.pop((stack, name), None)
        self.fault("remove_services", "after")

    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        self._called("holders")
        if self.lingering:
            self.lingering -= 1
            return (Holder(id="dying", state="running", owned=False, of_stack=True, name="dying"),)
        ours = (
            Holder(id=task.id, state="running", owned=True, of_stack=owner == stack, name=name)
            for (owner, name), running in self.services.items()
            for task in running.tasks
            if task.state == "running" and owner == stack
        )
        return (*ours, *self.strangers)

    def remove_dead(self, holders: Sequence[Holder]) -> None:
        self._called("remove_dead")
        gone = {holder.id for holder in holders if holder.state in ("exited", "dead")}
        self.strangers = tuple(holder for holder in self.strangers if holder.id not in gone)

    def writers(self) -> bool:
        """A task may be writing to a volume right now."""
        return bool(self.lingering) or any(running.tasks for running in self.services.values())

    def remove_networks(self, stack: StackName, names: Sequence[str]) -> None:
        self._called("remove_networks", changes=True)
        if any(owner == stack for owner, _ in self.services) or self.lingering:
            raise ActError("network is in use", host_fault=True)
        self.networks = {name: one for name, one in self.networks.items() if name not in names}
        self.fault("remove_networks", "after")

    def find_network_users(self, stack: StackName, names: Sequence[str]) -> tuple[str, ...]:
        self._called("find_network_users")
        return self.network_users

    def check_document(self, doc: Mapping[str, object]) -> tuple[str, ...] | None:
        self._called("check_document")
        return self.refuses

    def deploy(self, bundle: Bundle, workdir: Path, *, stays: bool = False) -> Deployed:
        self._called("deploy", changes=True)
        if self.lingering:
            self.violations.append("I5: deployed while an old container still runs")
        for name in bundle.volumes.values():
            self.create_volume(StackName(bundle.stack), name)
        doc = add_labels(bundle)
        self._make_networks(bundle.stack, doc)
        for name, body in doc["services"].items():
            key = (StackName(bundle.stack), name)
            running = self.services.get(key)
            if running is not None and running.spec == body:
                running.version += 1
                continue
            fresh = Running(
                spec=body,
                service_id=running.service_id if running else self._id("svc"),
                stack=key[0],
                version=running.version + 1 if running else 1,
                tasks=[],
            )
            self.services[key] = fresh
            if self.forgets:
                self.forget(name, bundle)
            else:
                self._run(fresh, bundle)
        self.fault("deploy", "after")
        return Deployed(code=0, output="")

    def _make_networks(self, stack: str, doc: Mapping[str, object]) -> None:
        """Those that are not there; Swarm never changes one that is."""
        for key, body in compose.section(doc, "networks").items():
            name = f"{stack}_{key}"
            self.networks.setdefault(
                name,
                NetworkObs(
                    name=name,
                    driver="overlay",
                    attachable=bool(body.get("attachable")),
                    internal=bool(body.get("internal")),
                    options={**(body.get("driver_opts") or {}), "vxlanid_list": "4097"},
                    subnets=("10.0.1.0/24",),
                    labels=body.get("labels") or {},
                ),
            )

    def forget(self, name: str, bundle: Bundle) -> None:
        """Let the only task of a service wait for a host port that no task has."""
        running = self.services[StackName(bundle.stack), name]
        running.tasks.clear()
        self.forgotten[name] = (running, bundle)
        self._task(running, "pending", "no suitable node (host-mode port already in use on 1 node)")

    def _run(self, running: Running, bundle: Bundle) -> None:
        """Let the image do what it does, on the real folder."""
        image = str(running.spec["image"])
        if image not in self.local:
            self._task(running, "rejected", f"No such image: {image}")
            return
        behaviour = self.images[image.partition("@")[0]]
        if behaviour.fails == "before":
            self._task(running, "failed", "task: non-zero exit (3)")
            return
        for volume in bundle.volumes.values():
            self._write(Path(self.volumes[volume].path), behaviour.schema)
        failed = behaviour.fails in ("after", "always")
        self._task(running, "failed" if failed else "running", "task: non-zero exit (3)" if failed else "")

    def _write(self, data: Path, schema: int) -> None:
        file = data / "schema"
        have = int(file.read_text()) if file.exists() else 0
        if have > schema:
            self.violations.append(f"TORN: version for schema {schema} started on data of schema {have}")
        file.write_text(str(schema))
        (data / "log").open("a").write(f"started with schema {schema}\n")

    def _task(self, running: Running, state: str, error: str) -> None:
        running.tasks.append(
            TaskObs(
                id=self._id("task"),
                service_id=running.service_id,
                state=state,
                desired_state="running",
                template_fingerprint=digest([running.spec["image"], running.spec.get("environment")]),
                at=self.clock.now(),
                error=error,
                node_id="n1",
                created_at=self.clock.now(),
            )
        )

    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        self._called("observe_volumes")
        return {name: self.volumes[name] for name in names if name in self.volumes}

    def create_volume(self, stack: StackName, name: str) -> VolumeObs:
        if name not in self.volumes:
            path = self.root / "volumes" / name / "_data"
            path.mkdir(parents=True)
            labels = {"com.docker.stack.namespace": str(stack)}
            self.volumes[name] = VolumeObs(name=name, driver="local", options={}, labels=labels, path=str(path))
        return self.volumes[name]

    def observe_images(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        self._called("observe_images")
        return {
            ref: ImageObs(pinned=pin(ref), created="", foreign=self.foreign)
            for ref in references
            if pin(ref) in self.local
        }

    def pull(self, reference: str, hear: Callable[[Pulled], None] = unheard) -> ImageObs:
        self._called("pull")
        hear(Pulled(doing="loading", done=1, of=1))
        if reference.partition("@")[0] not in self.images:
            raise ActError(f"{reference}: manifest unknown", permanent=True)
        self.local.add(pin(reference))
        self.fault("pull", "after")
        return ImageObs(pinned=pin(reference), created="")

    def protect_images(self, owner: AppName | RunName, pinned: Sequence[str]) -> None:
        self._called("protect_images")
        self.pins[owner] = list(pinned)
        self.fault("protect_images", "after")

    def observe_named(self, kind: NamedKind, names: Sequence[str]) -> frozenset[str]:
        self._called("observe_named")
        return frozenset(name for name in names if kind != "secret" or name in self.secrets)

    def observe_others(self, stack: StackName) -> Others:
        self._called("observe_others")
        return self.others

    def create_secret(self, app: AppName, stack: StackName, name: str, value: bytes) -> None:
        self._called("create_secret", changes=True)
        self.secrets.add(name)

    def remove_unused_configs(self, stack: StackName) -> None:
        self._called("remove_unused_configs")

    def execute(self, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
        self._called("execute", changes=True)
        return Executed(code=1 if self.fails_commands else 0, output=self.says)

    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        return self.words

    def remove_volumes(self, stack: StackName, names: Sequence[str]) -> None:
        self._called("remove_volumes", changes=True)
        for name in names:
            if name in self.volumes and self.volumes[name].labels.get("com.docker.stack.namespace") == stack:
                del self.volumes[name]

    def purge(self, stack: StackName) -> tuple[str, ...]:
        self._called("purge", changes=True)
        self.undeploy(stack)
        self.remove_volumes(stack, [name for name in self.volumes if name.startswith(f"{stack}_")])
        return ()

    def schema(self) -> str:
        """What schema the data has now."""
        return "".join((Path(v.path) / "schema").read_text() for v in self.volumes.values())


def pin(reference: str) -> str:
    return reference if "@sha256:" in reference else f"{reference}@sha256:{digest(reference)}"


def _observed(name: str, running: Running) -> ServiceObs:
    deploy = running.spec.get("deploy")
    labels = deploy["labels"] if isinstance(deploy, dict) else {}
    return ServiceObs(
        id=running.service_id,
        name=name,
        stack=running.stack,
        version_index=running.version,
        labels=labels,
        image=str(running.spec["image"]),
        mode=ServiceMode.REPLICATED,
        replicas=1,
        running=sum(task.state == "running" for task in running.tasks),
        desired=1,
        spec_fingerprint=digest(running.spec),
        template_fingerprint=digest([running.spec["image"], running.spec.get("environment")]),
        host_ports=frozenset({8080}),
    )


@dataclass
class FakeRecipes:
    """One recipe: tag -> files."""

    releases: dict[str, dict[str, bytes]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    offline: bool = False
    unreadable: bool = False
    lightweight: tuple[str, ...] = ()
    unsigned: set[str] = field(default_factory=set)

    def fetch(self, url: str) -> None:
        if self.offline:
            raise RecipeError(f"{url}: fetch failed, the last known state stays")

    def tags(self, url: str) -> Tags:
        if self.unreadable:
            raise RecipeError(f"{url}: git cannot be started: No such file or directory")
        return Tags(
            lightweight=self.lightweight,
            annotated={tag: self.moved.get(tag, digest(tag)[:40]) for tag in self.releases},
        )

    def files(self, url: str, commit: str) -> Mapping[str, bytes]:
        for tag, files in self.releases.items():
            if commit in (digest(tag)[:40], self.moved.get(tag)):
                return files
        raise RecipeError(f"commit {commit[:12]} is gone")

    def find_signature_problem(self, url: str, commit: str, signers: Path, tag: str = "") -> str:
        return "it is not signed" if tag in self.unsigned else ""

    def notes(self, url: str, commit: str, versions: Sequence[str]) -> Mapping[str, str]:
        found = self.files(url, commit)
        return {v: found[f"release/{v}"].decode() for v in versions if f"release/{v}" in found}


@dataclass
class FakeProber:
    """The app answers if its newest task runs an image that is not unhealthy."""

    engine: FakeEngine
    broken: bool = False
    any_task_is_fine: bool = False
    on_probe: Callable[[Probe], None] = lambda _probe: None
    asked: list[str] = field(default_factory=list)
    answers: dict[str, ProbeAnswer] = field(default_factory=dict)
    on_check: Callable[[str], None] = lambda _what: None

    def probe(self, probe: Probe) -> ProbeAnswer:
        self.on_probe(probe)
        for running in self.engine.services.values():
            up = any(task.state == "running" for task in running.tasks)
            fails = self.engine.images.get(str(running.spec["image"]).partition("@")[0], Behaviour()).fails
            fine = self.any_task_is_fine or fails not in ("unhealthy", "always")
            if up and fine and not self.broken:
                return ProbeAnswer(ok=True, code=200, detail="HTTP 200")
        return ProbeAnswer(ok=False, code=503, detail="HTTP 503, wanted 200")

    def connect(self, address: str, port: int, timeout_s: float) -> ProbeAnswer:
        return self._check(f"{address}:{port}")

    def command(self, argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> ProbeAnswer:
        return self._check(argv[0])

    def _check(self, what: str) -> ProbeAnswer:
        self.asked.append(what)
        self.on_check(what)
        return self.answers.get(what, ProbeAnswer(ok=True, code=0, detail="fine"))


class FakeRegistry:
    """Has what the engine could pull."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.offline = False

    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        return {ref: self._one(ref) for ref in references}

    def _one(self, ref: str) -> ImageLookup:
        if self.offline:
            return ImageLookup(reference=ref, exists=None, error="registry cannot be asked")
        exists = ref.partition("@")[0] in self.engine.images
        return ImageLookup(reference=ref, exists=exists, digest=pin(ref).rpartition("@")[2] if exists else "")


class GuardedSnapshots(FolderSnapshots):
    """The real snapshots, with an eye on who is writing meanwhile (I4)."""

    engine: FakeEngine

    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], *, before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        if self.engine.writers():
            self.engine.violations.append("I4: snapshot while a task may write")
        return super().create(manifest, volumes, before_exchange=before_exchange)

    def drop_ahead(self, app: AppName) -> None:
        if not isinstance(sys.exc_info()[1], Crash):  # a program that is gone removes nothing
            super().drop_ahead(app)

    def restore(
        self,
        app: AppName,
        volumes: Sequence[VolumeObs],
        op_id: str,
        *,
        give_up: Callable[[str], None] | None = None,
    ) -> tuple[str, ...]:
        if self.engine.writers():
            self.engine.violations.append("I4: restore while a task may write")
        return super().restore(app, volumes, op_id, give_up=give_up)


class Host:
    """A whole host: build once, then reconcile, crash, and reconcile again."""

    def __init__(self, root: Path, **spec_changes: object) -> None:
        from tests.builders import spec

        self.root = root
        root.chmod(0o750)
        self.clock = Clock()
        self.engine = FakeEngine(root=root, clock=self.clock)
        self.recipes = FakeRecipes()
        self.prober = FakeProber(self.engine)
        self.registry = FakeRegistry(self.engine)
        self.settings = Settings(limits=Limits(copy_ahead_from=0))
        self.specs: list[AppSpec] = [spec(**spec_changes)]
        self.points: list[str] = []
        self.told: list[Amount] = []
        self.on_effect: Callable[[str], None] = lambda _name: None
        self.crash_at: int | str | None = None
        prepare_state(root / "state", None)

    def release(self, tag: str, behaviour: Behaviour | None = None, *, notes: str = "", **service: object) -> str:
        """Publish a release; gives its image."""
        image = f"registry.test/notes:{tag.partition('+')[2]}"
        self.engine.images[image] = behaviour or Behaviour()
        body: dict[str, object] = {"image": image, "volumes": ["data:/data"], **service}
        doc = {"services": {"app": body}, "volumes": {"data": {}}}
        files = {"compose.yml": json.dumps(doc).encode()}
        if notes:
            files[f"release/{tag}"] = notes.encode()
        self.recipes.releases[tag] = files
        return image

    def give_network(self, tag: str, **definition: object) -> None:
        """Put the app of a release into a network of that definition."""
        files = self.recipes.releases[tag]
        doc = json.loads(files["compose.yml"])
        doc["services"]["app"]["networks"] = ["inner"]
        files["compose.yml"] = json.dumps(doc | {"networks": {"inner": definition}}).encode()

    def _effect(self, name: str) -> None:
        self.points.append(name)
        self.on_effect(name)
        if self.crash_at in (len(self.points), name):
            raise Crash(name)

    def ports(self) -> Ports:
        """The program as it starts: adapters anew, world as it is."""
        state = self.root / "state"
        alerts = AlertStore(state / "alerts")
        alerts.prepare()
        snapshots = GuardedSnapshots(state, self._effect, tell=self.told.append)
        snapshots.engine = self.engine
        return Ports(
            engine=self.engine,
            node=LocalNode(containers=self.engine, snapshots=snapshots),
            registry=self.registry,
            recipes=self.recipes,
            overlays=HostOverlays(),
            store=RecordStore(state),
            history=HistoryFile(state / "history.jsonl"),
            alerts=alerts,
            disturbances=DisturbanceFile(self.root / "state" / "disturbances.json"),
            locks=Locks(state / "locks", self.clock.now),
            prober=self.prober,
            canonicals=CanonicalStore(state),
            requests=RequestSender(state / "requests", None),
            secrets=SecretValues(),
            yaml=RecipeYaml(),
            clock=self.clock,
            workdir=state / "work",
            effect=self._effect,
            tell=self.told.append,
        )

    def reconcile(self, crash_at: int | str | None = None, *, fetch: bool = True) -> list[Report]:
        """One pass of a fresh process; `crash_at`: the effect point at which it dies, by number or by name."""
        self.points, self.crash_at = [], crash_at
        return one_pass.run(self.ports(), self.settings, self.specs, fetched=None if fetch else {})

    def result(self) -> str:
        """The one app's result line of one pass."""
        return str(self.reconcile()[0].outcome.result)

    def until_quiet(self, passes: int = 12) -> list[str]:
        """Passes with time between them until two in a row say the same; their results."""
        results: list[str] = []
        while len(results) < 2 or results[-1] != results[-2]:
            assert len(results) < passes, f"does not converge: {results}"
            try:
                results.append(self.result())
            except Crash:
                results.append("crashed")
            self.clock.seconds += 4000
        return results

    def history(self) -> list[HistoryLine]:
        return list(HistoryFile(self.root / "state" / "history.jsonl").lines())

    def alerts(self) -> list[Alert]:
        return [alert for _, alert in AlertStore(self.root / "state" / "alerts").open()]

    def known(self) -> str | None:
        found = RecordStore(self.root / "state").known_good(AppName("notes"))
        return found.release.version if found else None

    def doctor(self) -> list[str]:
        """What the independent checker finds."""
        from reconciler import doctor

        return [
            f"{f.invariant} {f.path}: {f.message}" for f in doctor.examine(self.root / "state") if f.severity != "note"
        ]


__all__ = ["Behaviour", "Clock", "Crash", "FakeEngine", "Host"]
