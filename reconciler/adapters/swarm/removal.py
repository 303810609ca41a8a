"""Takes services down in an order that the engine survives (docs/adr/0013). Effects: services, containers' ends.

Swarm deletes a task within 250 ms of its end for good, or when its slot has too many. Engine 20.10 crashes if a service
is removed in the moment in which tasks of it are deleted. So a service is removed while all of it runs; one of which
tasks may be deleted is halted first, and removed when nothing of it moves any more.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName

_POLL_S = 0.01
_HEARD_S = 2.0
_DELETED_S = 10.0
_STEADY_S = 10.0
_RESTARTS = 2
"""So many restarts may come between a look and the removal."""
_NOWHERE = "node.id==ci-warm-halts-this"


def take_down(client: SwarmClient, stack: StackName, found: Sequence[Json], *, kill: bool = False) -> None:
    """Remove these services of the stack and stop this node's containers of them.

    Skips the agent's fixed delay of about 3 s: containers are stopped here, each with its own grace. `kill`: with
    none. A service that cannot be removed keeps no other.

    Raises:
        ActError: the engine did not confirm one of the changes.
    """
    if not found:
        return
    limit, tasks, now = _limit(client), _tasks(client, stack), datetime.now(UTC)
    calm = [raw for raw in found if is_calm(raw, tasks, limit, now)]
    restless = [raw for raw in found if raw not in calm]
    refused = [_refused(_remove, client, raw) for raw in calm]
    refused += [_refused(_halt, client, raw) for raw in restless]
    # A container that ended while its task was still wanted would be started anew. Now and then Swarm forgets a task
    # that waits for its restart: that costs only time.
    _until(client, stack, _HEARD_S, lambda tasks: not any(wanted(raw, tasks) for raw in found))
    services = {raw["ID"] for raw in found}
    stop(client, stack, lambda container: container["Labels"].get(parse.LABEL_SERVICE_ID) in services, kill=kill)
    if restless:
        _until(client, stack, _DELETED_S, lambda tasks: not any(being_deleted(raw, tasks, limit) for raw in restless))
        refused += [_refused(_remove, client, raw) for raw in restless]
    first = next((exc for exc in refused if exc is not None), None)
    if first is not None:
        raise first


def stop(client: SwarmClient, stack: StackName, which: Callable[[Json], bool], *, kill: bool = False) -> None:
    """Stop such running containers of the stack side by side, each with the grace that its task says.

    Raises:
        ActError: the engine did not confirm it.
    """
    running = client.read("containers", "containers", filters=_label(stack))
    doomed = [raw["Id"] for raw in running if which(raw)]
    if not doomed:
        return
    task_of = {raw["Id"]: raw["Labels"].get(parse.LABEL_TASK, "") for raw in running}
    grace = {} if kill else {raw["ID"]: parse.grace_s(raw["Spec"]) for raw in _tasks(client, stack)}
    with ThreadPoolExecutor(max_workers=min(16, len(doomed))) as pool:
        stops = [
            pool.submit(
                client.write, "stop container", "stop", container,
                timeout=0 if kill else grace.get(task_of[container], parse.DEFAULT_GRACE_S),
            )
            for container in doomed
        ]  # fmt: skip
        for one in stops:
            one.result()


def services(client: SwarmClient, stack: StackName) -> list[Json]:
    """The stack's services, as the engine tells them."""
    found: list[Json] = client.read("services", "services", filters=_label(stack))
    return found


def halted(spec: Json) -> bool:
    """Make a service's spec one that wants no task; False if it is one already, or a job, which ends by itself."""
    mode = spec["Mode"]
    if "Replicated" in mode:
        had = (mode["Replicated"] or {}).get("Replicas", 1)
        mode["Replicated"] = {"Replicas": 0}
        return bool(had)
    placement = spec["TaskTemplate"].setdefault("Placement", {})
    if "Global" not in mode or _NOWHERE in (placement.get("Constraints") or []):
        return False
    placement["Constraints"] = [_NOWHERE]
    return True


def is_calm(raw: Json, tasks: Sequence[Json], limit: int, now: datetime) -> bool:
    """Say whether Swarm deletes no task of this service now, nor will if it restarts soon.

    `limit`: how many tasks the Swarm keeps of a slot. A service whose slots are full is calm if nothing of it restarts.
    """
    if _of(raw, tasks, "remove"):
        return False
    kept = _kept(raw, limit)
    if kept is None or all(len(slot) <= kept - _RESTARTS for slot in _slots(raw, tasks)):
        return True
    alive = _of(raw, tasks, "running", "ready")
    return all(
        task["Status"]["State"] == "running"
        and (now - parse.instant(task["Status"].get("Timestamp"))).total_seconds() >= _STEADY_S
        for task in alive
    )


def wanted(raw: Json, tasks: Sequence[Json]) -> bool:
    """Say whether a task of this service has not heard yet that it is to end."""
    return bool(_of(raw, tasks, "running", "ready"))


def being_deleted(raw: Json, tasks: Sequence[Json], limit: int) -> bool:
    """Say whether Swarm is to delete a task of this halted service."""
    if _of(raw, tasks, "remove"):
        return True
    kept = _kept(raw, limit)
    return kept is not None and any(len(slot) > kept and _has_ended(slot) for slot in _slots(raw, tasks))


def _of(raw: Json, tasks: Sequence[Json], *desired: str) -> list[Json]:
    return [task for task in tasks if task.get("ServiceID") == raw["ID"] and task["DesiredState"] in desired]


def _slots(raw: Json, tasks: Sequence[Json]) -> list[list[Json]]:
    """The service's tasks by slot; a global service has one on each node."""
    slots: dict[object, list[Json]] = {}
    for task in tasks:
        if task.get("ServiceID") == raw["ID"]:
            slots.setdefault(task.get("Slot") or task.get("NodeID", ""), []).append(task)
    return list(slots.values())


def _has_ended(slot: Sequence[Json]) -> bool:
    return any(task["Status"]["State"] in parse.NOT_THERE for task in slot)


def _kept(raw: Json, limit: int) -> int | None:
    """How many tasks Swarm keeps of a slot: one more than the restarts it counts, else its limit; None is all."""
    policy = raw["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    attempts = int(policy.get("MaxAttempts") or 0)
    if attempts:
        return attempts + 1
    return None if limit < 0 else limit


def _limit(client: SwarmClient) -> int:
    """The Swarm's limit of tasks to keep; negative: it keeps all."""
    cluster = client.read("engine info", "info").get("Swarm", {}).get("Cluster") or {}
    orchestration = cluster.get("Spec", {}).get("Orchestration") or {}
    return int(orchestration.get("TaskHistoryRetentionLimit", 0))


def _tasks(client: SwarmClient, stack: StackName) -> list[Json]:
    found: list[Json] = client.read("tasks", "tasks", filters=_label(stack))
    return found


def _refused(act: Callable[[SwarmClient, Json], None], client: SwarmClient, raw: Json) -> ActError | None:
    try:
        act(client, raw)
    except ActError as exc:
        return exc
    return None


def _remove(client: SwarmClient, raw: Json) -> None:
    client.write("remove service", "remove_service", raw["ID"])


def _halt(client: SwarmClient, raw: Json) -> None:
    for _ in range(5):  # an update out of sequence means somebody was faster: read again
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


def _until(client: SwarmClient, stack: StackName, seconds: float, over: Callable[[Sequence[Json]], bool]) -> None:
    """Wait until the stack's tasks are as said, at most so long."""
    deadline = time.monotonic() + seconds
    while not over(_tasks(client, stack)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _label(stack: StackName) -> Mapping[str, str]:
    return {"label": f"{parse.LABEL_STACK}={stack}"}
