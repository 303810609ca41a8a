"""Takes services down in an order that the engine survives (docs/adr/0013). Effects: services, containers' ends.

Swarm deletes a task within 250 ms of its end for good, or when its slot has too many. Engine 20.10 crashes if a service
is removed in the moment in which tasks of it are deleted. So a service is removed while all of it runs; one of which
tasks may be deleted is halted first, and removed when nothing of it moves any more.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName

_POLL_S = 0.01
_HEARD_S = 2.0
_DELETED_S = 10.0
_HISTORY = 5
_RESTARTS = 2
"""So many restarts may come between a look and the removal."""
_NS = 1_000_000_000
_DEFAULT_GRACE_S = 10
_NOWHERE = "node.id==ci-warm-halts-this"


def take_down(client: SwarmClient, stack: StackName, found: Sequence[Json], *, kill: bool = False) -> None:
    """Remove these services of the stack and stop this node's containers of them.

    Skips the agent's fixed delay of about 3 s: containers are stopped here, each with its service's own grace.
    `kill`: with none.

    Raises:
        ActError: the engine did not confirm one of the changes.
    """
    if not found:
        return
    tasks = client.read("tasks", "tasks", filters=_label(stack))
    restless = [raw for raw in found if not calm(raw, tasks)]
    _remove(client, [raw for raw in found if raw not in restless])
    for raw in restless:
        _halt(client, raw)
    # A container that ended while its task was still wanted would be started anew. Now and then Swarm forgets a task
    # that waits for its restart: that costs only time.
    _until(client, stack, _HEARD_S, lambda tasks: not any(wanted(raw, tasks) for raw in found))
    running = client.read("containers", "containers", filters=_label(stack))
    grace = {service: 0 if kill else seconds for service, seconds in graces(found).items()}
    _stop(client, {raw["Id"]: grace[service] for raw in running if (service := _service(raw)) in grace})
    if restless:
        _until(client, stack, _DELETED_S, lambda tasks: not any(being_deleted(raw, tasks) for raw in restless))
        _remove(client, restless)


def stop_strays(client: SwarmClient, stack: StackName) -> None:
    """Stop the stack's containers that no task knows any more: no agent will.

    Raises:
        ActError: the engine did not confirm it.
    """
    found = client.read("containers", "containers", filters=_label(stack))
    known = {raw["ID"] for raw in client.read("tasks", "tasks", filters=_label(stack))} if found else set()
    _stop(client, {raw["Id"]: _DEFAULT_GRACE_S for raw in found if raw["Labels"].get(parse.LABEL_TASK) not in known})


def services(client: SwarmClient, stack: StackName) -> list[Json]:
    """The stack's services, as the engine tells them."""
    found: list[Json] = client.read("services", "services", filters=_label(stack))
    return found


def graces(found: Sequence[Json]) -> Mapping[str, int]:
    """By service id: whole seconds that a container has between SIGTERM and SIGKILL."""
    return {raw["ID"]: _grace_s(raw) for raw in found}


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


def calm(raw: Json, tasks: Sequence[Json]) -> bool:
    """Say whether Swarm has no task of this service to delete, and will have none after its next restarts."""
    return not _of(raw, tasks, "remove") and _fullest(raw, tasks) <= _history(raw) - _RESTARTS


def wanted(raw: Json, tasks: Sequence[Json]) -> bool:
    """Say whether a task of this service has not heard yet that it is to end."""
    return bool(_of(raw, tasks, "running", "ready"))


def being_deleted(raw: Json, tasks: Sequence[Json]) -> bool:
    """Say whether Swarm is to delete a task of this halted service."""
    return bool(_of(raw, tasks, "remove")) or _fullest(raw, tasks) > _history(raw)


def _of(raw: Json, tasks: Sequence[Json], *desired: str) -> list[Json]:
    return [task for task in tasks if task.get("ServiceID") == raw["ID"] and task["DesiredState"] in desired]


def _fullest(raw: Json, tasks: Sequence[Json]) -> int:
    """How many tasks the slot has that has most; a global service has a slot on each node."""
    slots = Counter(task.get("Slot") or task.get("NodeID", "") for task in tasks if task.get("ServiceID") == raw["ID"])
    return max(slots.values(), default=0)


def _history(raw: Json) -> int:
    """How many tasks Swarm keeps of a slot: its limit, more where the restart policy counts further back."""
    policy = raw["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    return max(_HISTORY, int(policy.get("MaxAttempts") or 0) + 1)


def _remove(client: SwarmClient, found: Sequence[Json]) -> None:
    refused: ActError | None = None
    for raw in found:
        try:
            client.write("remove service", "remove_service", raw["ID"])
        except ActError as exc:
            refused = refused or exc
    if refused is not None:
        raise refused


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
    while not over(client.read("tasks", "tasks", filters=_label(stack))) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _stop(client: SwarmClient, grace: Mapping[str, int]) -> None:
    """Stop containers side by side. `grace`: seconds, by container id."""
    if not grace:
        return
    with ThreadPoolExecutor(max_workers=min(16, len(grace))) as pool:
        stops = [
            pool.submit(client.write, "stop container", "stop", container, timeout=seconds)
            for container, seconds in grace.items()
        ]
        for stop in stops:
            stop.result()


def _service(container: Json) -> str:
    found: str = container["Labels"].get(parse.LABEL_SERVICE_ID, "")
    return found


def _grace_s(raw: Json) -> int:
    period = raw["Spec"]["TaskTemplate"].get("ContainerSpec", {}).get("StopGracePeriod")
    return _DEFAULT_GRACE_S if period is None else -(-int(period) // _NS)


def _label(stack: StackName) -> Mapping[str, str]:
    return {"label": f"{parse.LABEL_STACK}={stack}"}
