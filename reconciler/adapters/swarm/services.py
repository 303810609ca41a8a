"""Takes services down in an order that the engine survives (docs/adr/0013). Effects: services, containers' ends.

A service is removed while all of it runs. One of which Swarm may delete tasks (`core.change.safe_removal` tells) is
halted first, and removed when nothing of it moves any more.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.core.change import safe_removal
from reconciler.model.base import Json
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import StackName
from reconciler.model.observed import TaskObs

_POLL_S = 0.01
_HEARD_S = 2.0
_DELETED_S = 10.0
_SWARMS_LIMIT = 5
_KILLED = 137
_LABEL_SERVICE = "com.docker.swarm.service.name"
_NOWHERE = "node.id==ci-warm-halts-this"


def take_down(client: SwarmClient, stack: StackName, found: Sequence[Json], *, kill: bool = False) -> list[str]:
    """Remove these services of the stack and stop the containers of them within reach; gives those that were killed.

    Skips the agent's fixed delay of about 3 s: containers are stopped here, each with its own grace. `kill`: with
    none. A service that cannot be removed keeps no other.

    Raises:
        ActError: the engine did not confirm one of the changes.
    """
    if not found:
        return []
    limit, tasks, now = _limit(client), _tasks(client, stack), datetime.now(UTC)
    kept = {raw["ID"]: safe_removal.kept(limit, _attempts(raw)) for raw in found}
    calm = [raw for raw in found if safe_removal.is_calm(_of(raw, tasks), kept[raw["ID"]], now)]
    restless = [raw for raw in found if raw not in calm]
    refused = [_refused(_remove, client, raw) for raw in calm]
    refused += [_refused(_halt, client, raw) for raw in restless]
    # A container that ended while its task was still wanted would be started anew. Now and then Swarm forgets a task
    # that waits for its restart: that costs only time.
    _until(client, stack, _HEARD_S, found, lambda _, tasks: not safe_removal.wanted(tasks))
    ours = stop(client, stack, lambda container: container["Labels"].get(parse.LABEL_SERVICE_ID) in kept, kill=kill)
    if restless:
        _until(
            client,
            stack,
            _DELETED_S,
            restless,
            lambda raw, tasks: not safe_removal.being_deleted(tasks, kept[raw["ID"]]),
        )
        refused += [_refused(_remove, client, raw) for raw in restless]
    first = next((exc for exc in refused if exc is not None), None)
    if first is not None:
        raise first
    return ours


def stop(
    client: SwarmClient,
    stack: StackName,
    which: Callable[[Json], bool],
    *,
    kill: bool = False,
    stray_grace_s: int = parse.DEFAULT_GRACE_S,
) -> list[str]:
    """Stop such running containers of the stack side by side, each with the grace that its task says.

    `kill`: with none. `stray_grace_s`: for a container of which no task speaks. Gives the services of those that did
    not end within their grace.

    Raises:
        ActError: the engine did not confirm it.
    """
    running = client.read("containers", "containers", filters=parse.of_stack(stack))
    doomed = [raw["Id"] for raw in running if which(raw)]
    if not doomed:
        return []
    # By the task, which outlives its service: a resumed undeploy finds the grace there (ADR 0013).
    task_of = {raw["Id"]: raw["Labels"].get(parse.LABEL_TASK, "") for raw in running}
    grace = {} if kill else {task.id: task.grace_s for task in _tasks(client, stack)}
    # Side by side: the call answers when the container has ended, and their graces would add up.
    with ThreadPoolExecutor(max_workers=min(16, len(doomed))) as pool:
        stops = {
            container: pool.submit(
                _stop, client, container, 0 if kill else grace.get(task_of[container], stray_grace_s)
            )
            for container in doomed
        }
        killed = {container for container, one in stops.items() if one.result() and not kill}
    names = {str(raw["Labels"].get(_LABEL_SERVICE) or raw["Names"][0]) for raw in running if raw["Id"] in killed}
    return sorted(name.lstrip("/").removeprefix(f"{stack}_") for name in names)


def _stop(client: SwarmClient, container: str, grace_s: int) -> bool:
    """Stop one container; says whether it had to be killed."""
    began = time.monotonic()
    client.write("stop container", "stop", container, timeout=grace_s)
    took = time.monotonic() - began
    try:
        raw = client.find("container", "inspect_container", container)
    except ObserveError:
        raw = None
    # Swarm's agent may have removed it by now; then only the time that it took can tell.
    return took >= grace_s if raw is None else raw["State"].get("ExitCode") == _KILLED


def services(client: SwarmClient, stack: StackName) -> list[Json]:
    """The stack's services, as the engine tells them."""
    found: list[Json] = client.read("services", "services", filters=parse.of_stack(stack))
    return found


def halted(spec: Json) -> bool:
    """Make a service's spec one that wants no task; False if it is one already, or a job, which ends by itself."""
    mode = spec["Mode"]
    if "Replicated" in mode:
        had = (mode["Replicated"] or {}).get("Replicas", 1)
        mode["Replicated"] = {"Replicas": 0}
        return bool(had)
    # A global service has no number of replicas: a constraint that no node meets is the only way to want
    # none.
    placement = spec["TaskTemplate"].setdefault("Placement", {})
    if "Global" not in mode or _NOWHERE in (placement.get("Constraints") or []):
        return False
    placement["Constraints"] = [_NOWHERE]
    return True


def _limit(client: SwarmClient) -> int:
    """The Swarm's limit of tasks to keep; negative: it keeps all."""
    cluster = client.read("engine info", "info").get("Swarm", {}).get("Cluster") or {}
    orchestration = cluster.get("Spec", {}).get("Orchestration") or {}
    return int(orchestration.get("TaskHistoryRetentionLimit", _SWARMS_LIMIT))


def _attempts(raw: Json) -> int:
    policy = raw["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    return int(policy.get("MaxAttempts") or 0)


def _tasks(client: SwarmClient, stack: StackName) -> list[TaskObs]:
    return [parse.task(raw) for raw in client.read("tasks", "tasks", filters=parse.of_stack(stack))]


def _of(raw: Json, tasks: Sequence[TaskObs]) -> list[TaskObs]:
    return [task for task in tasks if task.service_id == raw["ID"]]


def _refused(act: Callable[[SwarmClient, Json], None], client: SwarmClient, raw: Json) -> ActError | None:
    try:
        act(client, raw)
    except ActError as exc:
        return exc
    return None


def _remove(client: SwarmClient, raw: Json) -> None:
    client.write("remove service", "remove_service", raw["ID"])


def _halt(client: SwarmClient, raw: Json) -> None:
    for _ in range(5):  # an update out of sequence means another writer was faster: read again
        if not halted(raw["Spec"]):
            return
        try:
            client.update_service(raw["ID"], raw["Version"]["Index"], raw["Spec"])
            return
        except ActError as exc:
            if "out of sequence" not in str(exc):
                raise
        again = client.find("service", "inspect_service", raw["ID"])
        if again is None:
            return
        raw = again


def _until(
    client: SwarmClient,
    stack: StackName,
    seconds: float,
    found: Sequence[Json],
    over: Callable[[Json, Sequence[TaskObs]], bool],
) -> None:
    """Wait until each of these services' tasks are as said, at most so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        tasks = _tasks(client, stack)
        if all(over(raw, _of(raw, tasks)) for raw in found):
            return
        time.sleep(_POLL_S)
