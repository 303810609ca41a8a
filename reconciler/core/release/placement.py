"""Where tasks with data may run on a Swarm of several nodes: on the one whose volumes are looked after. Pure.

Volumes are a node's own. A task that Swarm puts on another node begins with an empty volume there, and looks healthy.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from copy import deepcopy

from reconciler.core.release import compose
from reconciler.model.base import Json
from reconciler.model.disturbance import NodeObs
from reconciler.model.observed import NOT_THERE, ServiceObs, StackObs

LABEL_NODE = "ci-warm.node"
"""Of a service: the node that we keep it on, so that our constraint can be told from the recipe's."""
_CONSTRAINT = re.compile(r"\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*")


def choose_home(here: str, nodes: Sized) -> str:
    """The node that data stays on: this engine's, `here`, if there is another one that a task might go to; else ''."""
    return here if len(nodes) > 1 else ""


def pin(doc: Mapping[str, object], node_id: str) -> Json:
    """The document with every service that mounts a named volume kept on that node."""
    pinned: Json = {**doc, "services": {}}
    for name, body in compose.services(doc).items():
        service = pinned["services"][name] = deepcopy(dict(body))
        if _has_volume(body):
            deploy = service.setdefault("deploy", {})
            placement = deploy["placement"] = dict(deploy.get("placement") or {})
            placement["constraints"] = [*(placement.get("constraints") or ()), constraint(node_id)]
            deploy["labels"] = {**(deploy.get("labels") or {}), LABEL_NODE: node_id}
    return pinned


def constraint(node_id: str) -> str:
    """What keeps a service on a node."""
    return f"node.id=={node_id}"


def find_contradictions(doc: Mapping[str, object], node: NodeObs) -> Iterator[str]:
    """Constraints of services with volumes that this node does not meet; what it does not tell is met."""
    for name, body in compose.services(doc).items():
        placement = ((body.get("deploy") or {}).get("placement") or {}) if _has_volume(body) else {}
        for text in placement.get("constraints") or ():
            if not _is_met(str(text), node):
                yield f"service {name} may not run on node {node.name or node.id}, where its data is kept: {text}"


def _is_met(text: str, node: NodeObs) -> bool:
    found = _CONSTRAINT.fullmatch(text)
    if found is None:
        return True  # Docker refuses it, which is told elsewhere
    key, operator, wanted = found.groups()
    labels = ("node.labels.", "engine.labels.")
    known = {name.lower(): value for name, value in node.attributes.items()}
    has = known.get(key.lower(), "" if node.attributes and key.lower().startswith(labels) else None)
    if has is None:
        return True
    return (has.lower() == wanted.lower()) == (operator == "==")


def find_away(stack: StackObs, here: str) -> tuple[str, ...]:
    """Services with volumes of which a task runs, or is about to, on another node than `here`, each with that node."""
    names = {node.id: node.name for node in stack.nodes}
    found = []
    for service in _list_keepers(stack.services):
        there = {
            names.get(task.node_id) or task.node_id
            for task in stack.tasks_of(service)
            if task.node_id not in ("", here) and task.desired_state == "running" and task.state not in NOT_THERE
        }
        found += [f"service {service.name} runs on node {node}, and so its data is there" for node in sorted(there)]
    return tuple(found)


def find_loose(stack: StackObs, here: str) -> tuple[str, ...]:
    """Services with volumes that Swarm may start on another node than `here` at any time."""
    return tuple(
        f"service {service.name} may be started on another node than the one that has its data"
        for service in _list_keepers(stack.services)
        if service.labels.get(LABEL_NODE) != here
    )


def _list_keepers(services: Sequence[ServiceObs]) -> list[ServiceObs]:
    return [service for service in services if any(_is_volume(mount) for mount in _mounts(service))]


def _mounts(service: ServiceObs) -> Sequence[str]:
    found = service.told.get("mounts")
    return found if isinstance(found, list) else []


def _is_volume(mount: str) -> bool:
    kind, name, *_ = [*mount.split(" "), "", ""]
    return kind == "volume" and bool(name)


def _has_volume(body: Json) -> bool:
    return any(mount.kind == "volume" and mount.source for mount in compose.list_mounts(body))
