"""Engine API payloads to observed state. Pure.

Every payload that settling is tested with was recorded from a real engine and goes through here.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from reconciler.adapters.swarm import told
from reconciler.core.release import placement
from reconciler.core.release.digest import digest
from reconciler.core.release.render import LABEL_SCALED
from reconciler.model.base import Json
from reconciler.model.disturbance import NodeObs
from reconciler.model.ids import StackName
from reconciler.model.observed import (
    NOT_THERE,
    ContainerObs,
    NetworkObs,
    ServiceMode,
    ServiceObs,
    StackObs,
    TaskObs,
    UpdateObs,
    VolumeObs,
)

LABEL_STACK = "com.docker.stack.namespace"
LABEL_TASK = "com.docker.swarm.task.id"
LABEL_SERVICE_ID = "com.docker.swarm.service.id"
DEFAULT_GRACE_S = 10
"""Docker's own, where a task says nothing."""
_NS = 1_000_000_000
_MODES = {
    "Replicated": ServiceMode.REPLICATED,
    "Global": ServiceMode.GLOBAL,
    "ReplicatedJob": ServiceMode.REPLICATED_JOB,
    "GlobalJob": ServiceMode.GLOBAL_JOB,
}


def of_stack(stack: str) -> dict[str, str]:
    """The filter for what carries the stack's label."""
    return {"label": f"{LABEL_STACK}={stack}"}


def instant(text: str | None) -> datetime:
    """An engine time stamp (nanoseconds, Z) as aware UTC; the epoch if there is none."""
    if not text:
        return datetime.fromtimestamp(0, UTC)
    # The engine writes nine digits, Python reads six.
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{rest[:6] or '0'}").replace(tzinfo=UTC)


def template_fingerprint(template: Mapping[str, object]) -> str:
    """Digest of a task template.

    `ForceUpdate` says nothing about what runs, and when only `Placement` changes Swarm keeps a task that still fits.
    """
    return digest({key: value for key, value in template.items() if key not in ("ForceUpdate", "Runtime", "Placement")})


def _is_scheduled(labels: Mapping[str, str]) -> bool:
    """Say whether the number of replicas is a scheduler's, or one that the spec gives up, and so is no drift."""
    return "true" in (str(labels.get(name, "")).lower() for name in ("swarm.cronjob.enable", LABEL_SCALED))


def service(raw: Json) -> ServiceObs:
    """One `GET /services` entry (with status)."""
    spec = raw["Spec"]
    template = spec["TaskTemplate"]
    labels = spec.get("Labels") or {}
    stack = labels.get(LABEL_STACK, "")
    name = spec["Name"]
    kind, mode = next(((k, spec["Mode"][k] or {}) for k in _MODES if k in spec["Mode"]), ("Replicated", {}))
    status = raw.get("ServiceStatus") or {}
    update = raw.get("UpdateStatus") or {}
    plain = {key: value for key, value in spec.items() if key != "TaskTemplate"}
    if _is_scheduled(labels):
        plain["Mode"] = kind
    fingerprint = template_fingerprint(template)
    return ServiceObs(
        id=raw["ID"],
        name=name.removeprefix(f"{stack}_") if stack else name,
        stack=StackName(stack),
        version_index=raw["Version"]["Index"],
        labels=labels,
        image=template.get("ContainerSpec", {}).get("Image", ""),
        mode=_MODES[kind],
        replicas=mode.get("Replicas", mode.get("TotalCompletions", 1)) if kind != "Global" else 0,
        running=status.get("RunningTasks", 0),
        desired=status.get("DesiredTasks", 0),
        spec_fingerprint=digest([plain, fingerprint, template.get("Placement")]),
        template_fingerprint=fingerprint,
        update=UpdateObs(
            state=update["State"], started_at=update.get("StartedAt", ""), message=update.get("Message", "")
        )
        if update.get("State")
        else None,
        restart_condition=(template.get("RestartPolicy") or {}).get("Condition", "any"),
        host_ports=_host_ports(spec.get("EndpointSpec")),
        job_iteration=_iteration(raw.get("JobStatus")),
        told=_told(spec, labels),
    )


def _told(spec: Json, labels: Mapping[str, str]) -> dict[str, object]:
    """What is compared with what was sent: without what a scheduler decides, and without our own constraint."""
    found = told.fields(spec)
    if _is_scheduled(labels):
        found.pop("replicas", None)
    constraints = found.get("constraints")
    if isinstance(constraints, list):
        ours = placement.constraint(labels.get(placement.LABEL_NODE, ""))
        found["constraints"] = [text for text in constraints if text != ours]
    return found


def _host_ports(endpoint: Json | None) -> frozenset[int]:
    ports = (endpoint or {}).get("Ports") or []
    found = (port.get("PublishedPort", 0) for port in ports if port.get("PublishMode") == "host")
    return frozenset(port for port in found if port)


def taken_ports(services: Sequence[Json], tasks: Sequence[Json]) -> frozenset[int] | None:
    """Host ports that tasks on a node have, or may still have; None if one's service is gone and it does not say."""
    of_service = {raw["ID"]: _host_ports(raw["Spec"].get("EndpointSpec")) for raw in services}
    found: set[int] = set()
    for raw in tasks:
        if not raw.get("NodeID") or raw["Status"]["State"] in NOT_THERE:
            continue
        # A task outlives its service for a while and keeps the port; before it runs it does not say which
        # (ADR 0012).
        ports = of_service.get(raw.get("ServiceID", ""))
        if ports is None and raw["Status"]["State"] != "running":
            return None
        found |= _host_ports(raw["Status"].get("PortStatus")) if ports is None else ports
    return frozenset(found)


def _grace_s(spec: Json) -> int:
    """Whole seconds that a task's container has between SIGTERM and SIGKILL, by the task's spec."""
    period = (spec.get("ContainerSpec") or {}).get("StopGracePeriod")
    # Rounded up to whole seconds, which is what the engine's stop call takes.
    return DEFAULT_GRACE_S if period is None else -(-int(period) // _NS)


def task(raw: Json, *, signalled: bool = False) -> TaskObs:
    """One `GET /tasks` entry. `signalled`: the engine's events say that its container was sent a signal."""
    status = raw["Status"]
    return TaskObs(
        id=raw["ID"],
        service_id=raw.get("ServiceID", ""),
        state=status["State"],
        desired_state=raw.get("DesiredState", ""),
        template_fingerprint=template_fingerprint(raw["Spec"]),
        at=instant(status.get("Timestamp")),
        error=status.get("Err", ""),
        exit_code=(status.get("ContainerStatus") or {}).get("ExitCode"),
        node_id=raw.get("NodeID", ""),
        grace_s=_grace_s(raw["Spec"]),
        slot=str(raw.get("Slot") or raw.get("NodeID", "")),
        created_at=instant(raw.get("CreatedAt")),
        job_iteration=_iteration(raw),
        signalled=signalled,
    )


def _iteration(raw: Json | None) -> int:
    """The run of a job that a task, or the status of a service, speaks of; the first one has no number."""
    return int(((raw or {}).get("JobIteration") or {}).get("Index", 0))


def node(raw: Json, asked: str, started_at: datetime | None) -> NodeObs:
    """One `GET /nodes` entry. `asked`: id of the node whose engine was asked, which started then."""
    return NodeObs(
        id=raw["ID"],
        name=(raw.get("Description") or {}).get("Hostname", ""),
        started_at=started_at if raw["ID"] == asked else None,
        takes_tasks=(raw.get("Status") or {}).get("State") == "ready"
        and (raw.get("Spec") or {}).get("Availability") == "active",
        attributes=_attributes(raw),
        plugins=frozenset(
            (plugin.get("Type", ""), plugin.get("Name", "")) for plugin in _engine(raw).get("Plugins") or ()
        ),
    )


def _engine(raw: Json) -> Json:
    return (raw.get("Description") or {}).get("Engine") or {}


def _attributes(raw: Json) -> dict[str, str]:
    spec, description = raw.get("Spec") or {}, raw.get("Description") or {}
    platform = description.get("Platform") or {}
    found = {
        "node.id": raw["ID"],
        "node.hostname": description.get("Hostname"),
        "node.role": spec.get("Role"),
        "node.platform.os": platform.get("OS"),
        "node.platform.arch": platform.get("Architecture"),
    }
    engine = _engine(raw).get("Labels") or {}
    found |= {f"node.labels.{key}": value for key, value in (spec.get("Labels") or {}).items()}
    found |= {f"engine.labels.{key}": value for key, value in engine.items()}
    return {key: str(value) for key, value in found.items() if value is not None}


def engine_start(networks: Sequence[Json]) -> datetime | None:
    """When an engine started: it makes its default bridge anew each time. None: it is told to have no bridge."""
    return next((instant(raw.get("Created")) for raw in networks if raw.get("Name") == "bridge"), None)


def container(raw: Json) -> ContainerObs:
    """One `GET /containers/json` entry; health and exit code stand only in its status text."""
    text = raw.get("Status", "")
    # In this order: "healthy" is a part of "unhealthy".
    health = next((word for word in ("unhealthy", "healthy", "health: starting") if f"({word})" in text), "")
    code = text.partition("Exited (")[2].partition(")")[0]
    return ContainerObs(
        id=raw["Id"],
        task_id=(raw.get("Labels") or {}).get(LABEL_TASK, ""),
        state=raw.get("State", ""),
        health=health.removeprefix("health: "),
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
    )


def networks(raws: Sequence[Json], stack: str) -> tuple[NetworkObs, ...]:
    """The networks of `GET /networks` that a stack made. One that is half made may lack its IPAM."""
    return tuple(
        NetworkObs(
            name=raw["Name"],
            id=raw.get("Id") or "",
            driver=raw.get("Driver") or "",
            attachable=bool(raw.get("Attachable")),
            internal=bool(raw.get("Internal")),
            options=raw.get("Options") or {},
            subnets=tuple(one["Subnet"] for one in (raw.get("IPAM") or {}).get("Config") or () if one.get("Subnet")),
            labels=raw.get("Labels") or {},
        )
        for raw in raws
        if (raw.get("Labels") or {}).get(LABEL_STACK) == stack
    )


def volume(raw: Json, *, local: bool) -> VolumeObs:
    """One volume; its path counts only if the engine's files are this machine's."""
    return VolumeObs(
        name=raw["Name"],
        driver=raw.get("Driver", ""),
        options=raw.get("Options") or {},
        labels=raw.get("Labels") or {},
        path=raw.get("Mountpoint", "") if local else "",
    )


def stacks(
    services: Sequence[Json],
    tasks: Sequence[Json],
    nodes: tuple[NodeObs, ...] = (),
    signalled: frozenset[str] = frozenset(),
) -> dict[StackName, StackObs]:
    """Group everything that belongs to a stack. `signalled`: ids of the tasks that `signals.find` gives."""
    found = [service(raw) for raw in services]
    owner = {one.id: one.stack for one in found}
    by_stack: dict[StackName, list[ServiceObs]] = {}
    by_stack_tasks: dict[StackName, list[TaskObs]] = {}
    for one in found:
        if one.stack:
            by_stack.setdefault(one.stack, []).append(one)
    for raw in tasks:
        stack = owner.get(raw.get("ServiceID", ""))
        if stack:
            by_stack_tasks.setdefault(stack, []).append(task(raw, signalled=raw["ID"] in signalled))
    return {
        name: StackObs(services=tuple(ones), tasks=tuple(by_stack_tasks.get(name, ())), nodes=nodes)
        for name, ones in by_stack.items()
    }
