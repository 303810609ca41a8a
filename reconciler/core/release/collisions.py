"""What a release would meet on the engine: names, ports and addresses that others have. Pure.

Docker says so when it makes the network or the service, and the app is down by then. The words are Docker's own, where
it has any.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from reconciler.core.release import compose, published
from reconciler.model.disturbance import NodeObs
from reconciler.model.observed import OtherNetwork, Others

_PREDEFINED = ("host", "bridge")
"""Networks of each engine that services may be attached to all the same."""
_SWARM = "swarm"
_LOG, _VOLUME = "Log", "Volume"
_NO_PLUGIN = ("", "none")
_Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


def find(doc: Mapping[str, object], stack: str, others: Others) -> Iterator[str]:
    """Everything that stands in the way of the document, in words."""
    yield from _find_networks(doc, stack, others.networks)
    yield from _find_ports(doc, others)
    yield from _find_overlaps(doc, stack, others.networks)


def _find_networks(doc: Mapping[str, object], stack: str, there: Sequence[OtherNetwork]) -> Iterator[str]:
    by_name: dict[str, list[OtherNetwork]] = {}
    for network in there:
        by_name.setdefault(network.name, []).append(network)
    for key, body in compose.section(doc, "networks").items():
        outside, name = bool(body.get("external")), compose.engine_name(key, body, stack)
        found = by_name.get(name, [])
        if not outside and found:
            yield f"networks.{key}: network with name {name} already exists, and is not of this stack"
        if not outside or not found or name in _PREDEFINED:
            continue
        if all(one.scope != _SWARM for one in found):
            yield (
                f'networks.{key}: network "{name}" is declared as external, but it is not in the right scope:'
                f' "{found[0].scope}" instead of "swarm"'
            )
        elif any(one.is_mesh for one in found):
            yield f'networks.{key}: service cannot be explicitly attached to the ingress network "{name}"'


def _find_ports(doc: Mapping[str, object], others: Others) -> Iterator[str]:
    taken = {(port.number, port.protocol, port.mode): port.service for port in others.ports}
    for name, service in compose.services(doc).items():
        for port in published.list_ports(service):
            # Two that are on the node alone may be on two nodes.
            for mode in ("ingress", "host") if port.mode == "ingress" else ("ingress",):
                user = taken.get((port.number, port.protocol, mode))
                if user is not None:
                    how = "an ingress port" if mode == "ingress" else "a host-published port"
                    yield f"services.{name}.ports: port '{port.number}' is already in use by service '{user}' as {how}"


def _find_overlaps(doc: Mapping[str, object], stack: str, there: Sequence[OtherNetwork]) -> Iterator[str]:
    """Subnets that are asked for by number; without a wish the engine finds a free one."""
    wanted: list[tuple[str, _Subnet]] = []
    for key, body in compose.section(doc, "networks").items():
        config = () if body.get("external") else (body.get("ipam") or {}).get("config") or ()
        for item in config:
            subnet = _subnet(str(item.get("subnet") or ""))
            if subnet is None:
                continue
            wanted.append((key, subnet))
            yield from _find_overlaps_with(key, subnet, compose.engine_name(key, body, stack), there)
    for (one_key, one), (key, subnet) in combinations(wanted, 2):
        if key != one_key and _overlap(one, subnet):
            yield f"networks.{key}: subnet {subnet} overlaps with {one} of network {one_key}"


def _find_overlaps_with(key: str, subnet: _Subnet, name: str, there: Sequence[OtherNetwork]) -> Iterator[str]:
    for other in there:
        # Of one with the same name it is told already that it is there.
        for one in map(_subnet, other.subnets if other.name != name else ()):
            if one is not None and _overlap(subnet, one):
                yield f"networks.{key}: subnet {subnet} overlaps with {one} of network {other.name}"


def _subnet(text: str) -> _Subnet | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _overlap(one: _Subnet, other: _Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def find_strangers(doc: Mapping[str, object], stack: str, others: Others) -> Iterator[tuple[str, str]]:
    """Objects below the stack's own name that another stack made, as `(allowance, place)`.

    One stack's name may begin with the other's: `example_co` and `example_co_uk`.
    """
    for section in ("volumes", "secrets", "configs"):
        for key, body in sorted(compose.section(doc, section).items()):
            name = compose.engine_name(key, body, stack)
            owner = others.owners.get((section.removesuffix("s"), name))
            if owner is not None and name.startswith(f"{stack}_"):
                yield "foreign-objects", f"{section}.{key}: {name}, which is of stack {owner}"


def find_missing_plugins(doc: Mapping[str, object], nodes: Sequence[NodeObs]) -> Iterator[str]:
    """Drivers of logs and volumes that no node has: Swarm would look for one in vain, with the app down."""
    for name, service in compose.services(doc).items():
        driver = str((service.get("logging") or {}).get("driver") or "")
        if _is_missing(_LOG, driver, nodes):
            yield f"services.{name}.logging.driver: no node has the log driver {driver}"
    for key, body in compose.section(doc, "volumes").items():
        driver = "" if body.get("external") else str(body.get("driver") or "")
        if _is_missing(_VOLUME, driver, nodes):
            yield f"volumes.{key}.driver: no node has the volume driver {driver}"


def _is_missing(kind: str, driver: str, nodes: Sequence[NodeObs]) -> bool:
    """Say so where every node tells its drivers of this kind, and none has it."""
    told = [{name.removesuffix(":latest") for type_, name in node.plugins if type_ == kind} for node in nodes]
    known = all(told) and bool(told) and driver not in _NO_PLUGIN
    return known and not any(driver.removesuffix(":latest") in names for names in told)
