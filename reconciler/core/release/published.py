"""Ports that services publish, in all forms that compose files have for them. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reconciler.core.release import compose

_SHORT = re.compile(r"(?:(?P<first>\d+)(?:-(?P<last>\d+))?:)?\d+(?:-\d+)?(?:/(?P<protocol>\w+))?")


class Port(NamedTuple):
    """A port of the host. `mode`: `host` (of the node alone) or `ingress` (of the whole Swarm)."""

    number: int
    protocol: str
    mode: str


def list_ports(service: Mapping[str, object]) -> Iterator[Port]:
    """What a service publishes at a port that it names; what cannot be read is left to Docker."""
    given = service.get("ports")
    for entry in given if isinstance(given, list) else ():
        if isinstance(entry, Mapping):
            text, protocol = str(entry.get("published") or ""), str(entry.get("protocol") or "tcp")
            if text.isdigit() and int(text):
                yield Port(int(text), protocol, str(entry.get("mode") or "ingress"))
            continue
        # An address before it, which Swarm does not look at.
        text = str(entry)
        found = _SHORT.fullmatch(text) or _SHORT.fullmatch(text.partition(":")[2])
        if found is not None and found["first"]:
            first = int(found["first"])
            for number in range(first, int(found["last"] or first) + 1):
                yield Port(number, found["protocol"] or "tcp", "ingress")


def host_ports(doc: Mapping[str, object]) -> frozenset[int]:
    """Ports of the node itself that the services publish; only the long form can ask for them."""
    found = (port for service in compose.services(doc).values() for port in list_ports(service))
    return frozenset(port.number for port in found if port.mode == "host")


def answering_ports(doc: Mapping[str, object]) -> frozenset[int] | None:
    """Ports of the host at which the services answer; None: any may be, as one of them is on the host's own network."""
    found: set[int] = set()
    for service in compose.services(doc).values():
        named = service.get("networks")
        if isinstance(named, list | Mapping) and any(_is_hosts(doc, str(key)) for key in named):
            return None
        found |= {port.number for port in list_ports(service)}
    return frozenset(found)


def _is_hosts(doc: Mapping[str, object], key: str) -> bool:
    body = compose.section(doc, "networks").get(key, {})
    return bool(body.get("external")) and compose.engine_name(key, body, "") == "host"
