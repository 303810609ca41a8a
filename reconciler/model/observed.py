"""Observed state: services, tasks, containers and volumes as seen in one look. Pure.

Made by the engine adapters, read by `core`. "Could not look" is never here: it is `ObserveError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from reconciler.model.disturbance import Disturbance, NodeObs
from reconciler.model.ids import StackName


class ServiceMode(StrEnum):
    """How Swarm multiplies a service into tasks."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    REPLICATED_JOB = "replicated-job"
    GLOBAL_JOB = "global-job"

    @property
    def is_job(self) -> bool:
        """Jobs are done when their tasks complete."""
        return self in (ServiceMode.REPLICATED_JOB, ServiceMode.GLOBAL_JOB)


@dataclass(frozen=True, kw_only=True)
class UpdateObs:
    """Swarm's `UpdateStatus`: state is updating, paused, completed or rollback_*."""

    state: str
    started_at: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceObs:
    """One service. `name` is short (without the stack); fingerprints are of the spec as the engine tells it.

    `job_iteration`: which run of a job stands, 0 for what is none: each deploy of a job starts it anew. `told`: its
    spec in the terms in which it was sent (`core.release.sent`), without what the engine does not tell.
    """

    id: str
    name: str
    stack: StackName
    version_index: int
    labels: Mapping[str, str]
    image: str
    mode: ServiceMode
    replicas: int
    running: int
    desired: int
    spec_fingerprint: str
    template_fingerprint: str
    update: UpdateObs | None = None
    restart_condition: str = "any"
    host_ports: frozenset[int] = frozenset()
    job_iteration: int = 0
    told: Mapping[str, object] = field(default_factory=dict)


NOT_THERE = frozenset(
    {"new", "allocated", "pending", "complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
)
"""States of a task of which nothing runs: not started yet, or ended. One of a global service has its node before
Swarm looked whether it fits."""


@dataclass(frozen=True, kw_only=True)
class TaskObs:
    """One task; states as Swarm names them (new ... running, complete, failed, rejected, shutdown).

    `at`: since when it is in its state, as the engine says, which stamps old tasks anew when it starts again;
    `created_at` never moves. `slot`: which replica it is one of, or the node of a global service. `grace_s`: seconds
    from SIGTERM to SIGKILL. `signalled`: it has ended, and its container was sent a signal that was not Swarm's own.
    """

    id: str
    service_id: str
    state: str
    desired_state: str
    template_fingerprint: str
    at: datetime
    error: str = ""
    exit_code: int | None = None
    node_id: str = ""
    grace_s: int = 10
    slot: str = ""
    created_at: datetime | None = None
    job_iteration: int = 0
    signalled: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerObs:
    """One container of the engine that was asked; `health` is healthy, unhealthy, starting or ''."""

    id: str
    task_id: str
    state: str
    health: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkObs:
    """One network of a stack, by its name on the engine. `options`: of its driver, those that the engine adds, too.

    `id`: '' where the engine has none.
    """

    name: str
    id: str = ""
    driver: str
    attachable: bool
    internal: bool
    options: Mapping[str, str]
    subnets: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class StackObs:
    """Everything of one stack at one moment.

    `nodes`: those of the Swarm, none where the engine has no such thing. `disturbances`: those on record, beside what
    the nodes themselves tell. `networks`: those that the stack made, also while no service is there.
    """

    services: tuple[ServiceObs, ...] = ()
    tasks: tuple[TaskObs, ...] = ()
    containers: tuple[ContainerObs, ...] = ()
    nodes: tuple[NodeObs, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    networks: tuple[NetworkObs, ...] = ()

    def service(self, name: str) -> ServiceObs | None:
        """The service of that short name, None if absent."""
        return next((service for service in self.services if service.name == name), None)

    @property
    def running_on(self) -> tuple[str, ...]:
        """Names of the nodes that its tasks run on, or their ids where they have none."""
        names = {node.id: node.name for node in self.nodes}
        return tuple(sorted({names.get(t.node_id) or t.node_id for t in self.tasks if t.state == "running"} - {""}))

    @property
    def can_run(self) -> bool:
        """Whether there is a node that takes tasks; while there is none, waiting says nothing of an app."""
        return not self.nodes or any(node.takes_tasks for node in self.nodes)

    def tasks_of(self, service: ServiceObs) -> tuple[TaskObs, ...]:
        """All listed tasks of that service, old ones included."""
        return tuple(task for task in self.tasks if task.service_id == service.id)


@dataclass(frozen=True, kw_only=True)
class VolumeObs:
    """One volume; `path` is where its data lies on `node`, '' when not reachable from here.

    `node`: id of the node that holds it; '' where the engine has no such thing or did not say.
    """

    name: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    path: str
    node: str = ""

    @property
    def stack(self) -> str:
        """The stack that it belongs to by its label, '' if to none."""
        return self.labels.get("com.docker.stack.namespace", "")

    @property
    def restorable(self) -> bool:
        """Only plain local volumes can be restored faithfully; nfs, binds and plugins cannot."""
        return self.driver in ("local", "embedded") and not self.options and bool(self.path)


@dataclass(frozen=True, kw_only=True)
class ImageObs:
    """An image present on the engine. `pinned`: a reference that needs no registry and cannot move.

    `foreign`: the platform that it is made for, if the engine's is another; '' if it fits.
    """

    pinned: str
    created: str
    volumes: tuple[str, ...] = ()
    foreign: str = ""


@dataclass(frozen=True, kw_only=True)
class World:
    """One look at the engine: a constant number of calls however many apps.

    `taken_ports`: host ports of tasks that are on a node; None if a task is there of which it cannot be told.
    """

    at: datetime
    engine: str
    node_id: str
    stacks: Mapping[StackName, StackObs] = field(default_factory=dict)
    volumes: Mapping[str, VolumeObs] = field(default_factory=dict)
    taken_ports: frozenset[int] | None = frozenset()
    nodes: tuple[NodeObs, ...] = ()
    disturbances: tuple[Disturbance, ...] | None = None

    @property
    def node_name(self) -> str:
        """Of the node that was asked; its id where it has no name."""
        return next((node.name for node in self.nodes if node.id == self.node_id), "") or self.node_id

    def stack(self, name: StackName) -> StackObs:
        """The stack's services and tasks; empty if nothing is deployed."""
        return self.stacks.get(name, StackObs(nodes=self.nodes))

    @cached_property
    def _volumes_by_stack(self) -> Mapping[str, tuple[VolumeObs, ...]]:
        found: dict[str, list[VolumeObs]] = {}
        for volume in self.volumes.values():
            found.setdefault(volume.stack, []).append(volume)
        return {stack: tuple(volumes) for stack, volumes in found.items()}

    def volumes_of(self, stack: StackName) -> tuple[VolumeObs, ...]:
        """The volumes that carry the stack's label; their own index, because every app of a pass asks."""
        return self._volumes_by_stack.get(stack, ())


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """One image on the engine. `references`: its tags and digests by name; `used`: a container or service needs it."""

    id: str
    references: tuple[str, ...]
    size: int
    tagged_at: datetime
    used: bool


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Every image of an engine at one moment."""

    images: tuple[StoredImage, ...]


@dataclass(frozen=True, kw_only=True)
class OtherNetwork:
    """A network that is not of the stack. `scope`: `swarm`, or `local`: of one engine. `is_mesh`: the Swarm's own."""

    name: str
    scope: str
    subnets: tuple[str, ...] = ()
    is_mesh: bool = False


@dataclass(frozen=True, kw_only=True)
class OtherPort:
    """A port that a service of another stack publishes. `mode`: `host` or `ingress`."""

    number: int
    protocol: str
    mode: str
    service: str


@dataclass(frozen=True, kw_only=True)
class Others:
    """What is on the engine beside a stack, which a release of it may meet.

    `owners`: (`volume`, `secret` or `config`, name) -> the other stack whose label it bears. `nodes`: on which it may
    run.
    """

    networks: tuple[OtherNetwork, ...] = ()
    ports: tuple[OtherPort, ...] = ()
    owners: Mapping[tuple[str, str], str] = field(default_factory=dict)
    nodes: tuple[NodeObs, ...] = ()
