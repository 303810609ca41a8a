"""What is on a Swarm beside one stack. Effects: reads."""

from collections.abc import Iterator, Sequence

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.base import Json
from reconciler.model.observed import OtherNetwork, OtherPort, Others


def observe(client: SwarmClient, stack: str) -> Others:
    """Six calls, whatever is there.

    Raises:
        ObserveError: the engine cannot be asked.
    """
    volumes: Sequence[Json] = client.read("volumes", "volumes").get("Volumes") or []
    owners = {("volume", raw["Name"]): _owner(raw.get("Labels")) for raw in volumes}
    for kind in ("secret", "config"):
        listed: Sequence[Json] = client.read(f"{kind}s", f"{kind}s")
        owners |= {(kind, raw["Spec"]["Name"]): _owner(raw["Spec"].get("Labels")) for raw in listed}
    return Others(
        networks=tuple(_networks(client.read("networks", "networks"), stack)),
        ports=tuple(_ports(client.read("services", "services"), stack)),
        owners={what: owner for what, owner in owners.items() if owner not in ("", stack)},
        nodes=tuple(parse.node(raw, "", None) for raw in client.read("nodes", "nodes")),
    )


def _owner(labels: Json | None) -> str:
    return str((labels or {}).get(parse.LABEL_STACK, ""))


def _networks(raws: Sequence[Json], stack: str) -> Iterator[OtherNetwork]:
    for raw in raws:
        if _owner(raw.get("Labels")) != stack:
            config = (raw.get("IPAM") or {}).get("Config") or ()
            yield OtherNetwork(
                name=raw["Name"],
                scope=raw.get("Scope") or "",
                subnets=tuple(one["Subnet"] for one in config if one.get("Subnet")),
                is_mesh=bool(raw.get("Ingress")),
            )


def _ports(raws: Sequence[Json], stack: str) -> Iterator[OtherPort]:
    for raw in raws:
        spec = raw["Spec"]
        if _owner(spec.get("Labels")) == stack:
            continue
        # As it is, where the engine has chosen one, and as it is wanted, where it has not come to that yet.
        for endpoint in (raw.get("Endpoint") or {}, spec.get("EndpointSpec") or {}):
            for port in endpoint.get("Ports") or ():
                if port.get("PublishedPort"):
                    yield OtherPort(
                        number=port["PublishedPort"],
                        protocol=port.get("Protocol") or "tcp",
                        mode=port.get("PublishMode") or "ingress",
                        service=spec["Name"],
                    )
