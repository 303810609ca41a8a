"""Removes a whole stack, data and secrets too: what undeploying keeps on purpose. Effects: the engine.

For test stacks alone; who may be purged is decided by the caller. Everything goes by the stack's label.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters.swarm import parse, services
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName
from reconciler.model.observed import VolumeObs
from reconciler.state import removal

_GONE_S = 20.0
_POLL_S = 0.2
_KINDS: tuple[tuple[str, str, str], ...] = (
    ("networks", "remove_network", "network"),
    ("configs", "remove_config", "config"),
    ("secrets", "remove_secret", "secret"),
)


def purge(client: SwarmClient, stack: StackName) -> tuple[str, ...]:
    """Remove what can be removed now; what is not gone yet, by kind and name. One that cannot go stops no other."""
    with contextlib.suppress(ActError):
        # Without grace: the data of a test stack goes anyway.
        services.take_down(client, stack, services.services(client, stack), kill=True)
    for raw in _containers(client, stack):
        _gently(client, "remove container", "remove_container", raw["Id"], v=True, force=True)
    # Networks, configs and secrets after the services that use them; volumes last, once no container holds
    # them.
    for listing, remove, kind in _KINDS:
        for raw in client.read(listing, listing, filters=parse.of_stack(stack)):
            _gently(client, f"remove {kind}", remove, raw.get("ID") or raw["Id"])
    remove_volumes(client, stack, [raw["Name"] for raw in _volumes(client, stack)])
    return left(client, stack)


def left(client: SwarmClient, stack: StackName) -> tuple[str, ...]:
    """Everything that carries the stack's label."""
    found = [f"service {raw['Spec']['Name']}" for raw in services.services(client, stack)]
    found += [f"container {(raw.get('Names') or ['?'])[0].lstrip('/')}" for raw in _containers(client, stack)]
    for listing, _, kind in _KINDS:
        rows = client.read(listing, listing, filters=parse.of_stack(stack))
        found += [f"{kind} {raw.get('Name') or raw['Spec']['Name']}" for raw in rows]
    found += [f"volume {raw['Name']}" for raw in _volumes(client, stack)]
    return tuple(found)


def remove_volumes(client: SwarmClient, stack: StackName, names: Sequence[str]) -> None:
    """Remove those that are the stack's; one that is still mounted is left for the next try."""
    ours = {raw["Name"]: parse.volume(raw, local=client.is_local) for raw in _volumes(client, stack)}
    for name in names:
        if name in ours:
            _remove_volume(client, ours[name])


def _remove_volume(client: SwarmClient, volume: VolumeObs) -> None:
    """Docker does not know that an app may forbid it by inode flags, in its data or in what was set aside of it."""
    what = f"remove volume {volume.name}"
    try:
        client.write(what, "remove_volume", volume.name)
    except ActError as exc:
        if volume.restorable and "in use" not in str(exc):
            removal.free_tree(Path(volume.path).parent)
            _gently(client, what, "remove_volume", volume.name)


def remove_networks(client: SwarmClient, stack: StackName, names: Sequence[str]) -> None:
    """Remove these networks of the stack, and wait until they are gone: one that is going would be taken for there.

    Raises:
        ActError: something uses one of them, or it is not gone in time.
    """
    deadline = time.monotonic() + _GONE_S
    while True:
        listed = client.read("networks", "networks", filters=parse.of_stack(stack))
        found = [raw for raw in listed if raw["Name"] in names]
        if not found:
            return
        for raw in found:
            try:
                client.write(f"remove network {raw['Name']}", "remove_network", raw["Id"])
            except ActError:
                # Tasks that ended a moment ago still count as its users to the Swarm.
                if time.monotonic() > deadline:
                    raise
        if time.monotonic() > deadline:
            raise ActError(f"network {found[0]['Name']} is not gone after {_GONE_S:g} s", host_fault=True)
        time.sleep(_POLL_S)


def find_network_users(client: SwarmClient, stack: StackName, names: Sequence[str]) -> tuple[str, ...]:
    """Who else is attached to these networks of the stack: services of others, and containers of this node by hand."""
    listed = client.read("networks", "networks", filters=parse.of_stack(stack))
    ids = {raw["Id"]: raw["Name"] for raw in listed if raw["Name"] in names}
    found = []
    for raw in client.read("services", "services"):
        attached = {str(one.get("Target")) for one in raw["Spec"]["TaskTemplate"].get("Networks") or ()}
        ours = (raw["Spec"].get("Labels") or {}).get(parse.LABEL_STACK) == stack
        if not ours and attached & {*ids, *ids.values()}:
            found.append(f"service {raw['Spec']['Name']}")
    for raw in client.read("containers", "containers", all=True):
        attached = {str(one.get("NetworkID")) for one in (raw["NetworkSettings"].get("Networks") or {}).values()}
        if attached & set(ids) and not (raw.get("Labels") or {}).get(parse.LABEL_TASK):
            found.append(f"container {(raw.get('Names') or ['?'])[0].lstrip('/')}")
    return tuple(found)


def _gently(client: SwarmClient, what: str, method: str, *args: object, **kwargs: object) -> None:
    """What is still in use goes next time; what never goes is what `left` names in the end."""
    with contextlib.suppress(ActError):
        client.write(what, method, *args, **kwargs)


def _containers(client: SwarmClient, stack: StackName) -> list[Json]:
    found: list[Json] = client.read("containers", "containers", all=True, filters=parse.of_stack(stack))
    return found


def _volumes(client: SwarmClient, stack: StackName) -> list[Json]:
    found: list[Json] = client.read("volumes", "volumes", filters=parse.of_stack(stack)).get("Volumes") or []
    return found
