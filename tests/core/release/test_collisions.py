"""What a release would meet on the engine: a row per kind, and what is no collision."""

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.core.release import collisions
from reconciler.model.disturbance import NodeObs
from reconciler.model.observed import OtherNetwork, OtherPort, Others

STACK = "example_co"


def networks(**bodies: Any) -> dict[str, Any]:
    return {"services": {"app": {"image": "x"}}, "networks": bodies}


def ports(*given: object) -> dict[str, Any]:
    return {"services": {"app": {"image": "x", "ports": list(given)}}}


def has(*found: OtherNetwork | OtherPort) -> Others:
    return Others(
        networks=tuple(one for one in found if isinstance(one, OtherNetwork)),
        ports=tuple(one for one in found if isinstance(one, OtherPort)),
    )


def network(name: str, *subnets: str, scope: str = "swarm", is_mesh: bool = False) -> OtherNetwork:
    return OtherNetwork(name=name, scope=scope, subnets=subnets, is_mesh=is_mesh)


def port(number: int, mode: str = "ingress", protocol: str = "tcp") -> OtherPort:
    return OtherPort(number=number, protocol=protocol, mode=mode, service="wiki_app")


OUTSIDE = {"external": True}
SUBNET = {"ipam": {"config": [{"subnet": "10.77.0.0/16"}]}}
INSIDE = {"ipam": {"config": [{"subnet": "10.77.3.0/24"}]}}
HOST = {"target": 80, "published": 8080, "mode": "host"}
ROWS = [
    pytest.param(networks(), has(network("proxy")), [], id="nothing in common"),
    pytest.param(networks(proxy=OUTSIDE), has(network("proxy")), [], id="an external network of the Swarm"),
    pytest.param(
        networks(proxy=OUTSIDE), has(network("proxy", scope="local")), ["not in the right scope"], id="of one engine"
    ),
    pytest.param(
        networks(p={"external": True, "name": "host"}), has(network("host", scope="local")), [], id="the host's own"
    ),
    pytest.param(networks(p={"external": {"name": "bridge"}}), has(network("bridge", scope="local")), [], id="bridge"),
    pytest.param(networks(proxy=OUTSIDE), has(), [], id="one that is not there is told elsewhere"),
    pytest.param(networks(ingress=OUTSIDE), has(network("ingress", is_mesh=True)), ["ingress network"], id="the mesh"),
    pytest.param(networks(inner={}), has(network("example_co_inner")), ["already exists"], id="its name is taken"),
    pytest.param(
        networks(inner={"name": "lan"}), has(network("lan", scope="local")), ["already exists"], id="of any scope"
    ),
    pytest.param(networks(inner=SUBNET), has(network("lan", "10.77.4.0/24")), ["overlaps"], id="its subnet is taken"),
    pytest.param(networks(inner=SUBNET), has(network("lan", "10.78.4.0/24", "fd00::/64")), [], id="it is not"),
    pytest.param(networks(one=SUBNET, two=INSIDE), has(), ["overlaps"], id="two of its own subnets overlap"),
    pytest.param(
        networks(inner=SUBNET), has(network("example_co_inner", "10.77.0.0/16")), ["already exists"], id="told once"
    ),
    pytest.param(networks(inner={**SUBNET, **OUTSIDE}), has(network("lan", "10.77.4.0/24")), [], id="not its to make"),
    pytest.param(
        networks(inner={"ipam": {"config": [{"subnet": "x"}]}}), has(network("lan", "y")), [], id="unreadable"
    ),
    pytest.param(
        ports("8080:80"), has(port(8080)), ["already in use by service 'wiki_app' as an ingress"], id="a port"
    ),
    pytest.param(ports("8080:80"), has(port(8080, "host")), ["as a host-published port"], id="mesh against a node"),
    pytest.param(ports(HOST), has(port(8080)), ["as an ingress port"], id="a node against the mesh"),
    pytest.param(ports(HOST), has(port(8080, "host")), [], id="two of a node, which may be two nodes"),
    pytest.param(ports("8080:80/udp"), has(port(8080)), [], id="another protocol"),
    pytest.param(ports("8079-8081:79-81"), has(port(8080)), ["port '8080'"], id="in a range"),
    pytest.param(ports("127.0.0.1:8080:80"), has(port(8080)), ["port '8080'"], id="with an address"),
    pytest.param(ports("8080", {"target": 8080}), has(port(8080)), [], id="a port that the engine chooses"),
]


@pytest.mark.parametrize(("doc", "others", "says"), ROWS)
def test_what_stands_in_the_way(doc: dict[str, Any], others: Others, says: Sequence[str]) -> None:
    found = list(collisions.find(doc, STACK, others))
    assert len(found) == len(says) and all(text in one for text, one in zip(says, found, strict=True)), found


def test_a_stack_whose_name_begins_with_ours_keeps_what_is_its() -> None:
    doc = {"volumes": {"uk_data": {}, "mine": {}}, "secrets": {"key": {"external": True, "name": "example_co_uk_key"}}}
    owners = {
        ("volume", "example_co_uk_data"): "example_co_uk",
        ("secret", "example_co_uk_key"): "example_co_uk",
        ("volume", "other_data"): "other",
    }
    assert [place for _, place in collisions.find_strangers(doc, STACK, Others(owners=owners))] == [
        "volumes.uk_data: example_co_uk_data, which is of stack example_co_uk",
        "secrets.key: example_co_uk_key, which is of stack example_co_uk",
    ]


DRIVERS = frozenset({("Log", "json-file"), ("Log", "grafana/loki:latest"), ("Volume", "local")})


@pytest.mark.parametrize(
    ("driver", "nodes", "missing"),
    [
        ("loki", (NodeObs(id="1", plugins=DRIVERS),), True),
        ("grafana/loki", (NodeObs(id="1", plugins=DRIVERS),), False),
        ("json-file", (NodeObs(id="1", plugins=DRIVERS),), False),
        ("none", (NodeObs(id="1", plugins=DRIVERS),), False),
        ("loki", (NodeObs(id="1", plugins=DRIVERS), NodeObs(id="2", plugins=frozenset({("Log", "loki")}))), False),
        ("loki", (NodeObs(id="1", plugins=DRIVERS), NodeObs(id="2")), False),
        ("loki", (), False),
    ],
)
def test_a_driver_that_no_node_has(driver: str, nodes: tuple[NodeObs, ...], missing: bool) -> None:
    """A node that tells none may have it."""
    doc = {"services": {"app": {"image": "x", "logging": {"driver": driver}}}}
    assert bool(list(collisions.find_missing_plugins(doc, nodes))) is missing


def test_a_volume_driver_that_no_node_has() -> None:
    doc = {"volumes": {"data": {"driver": "rexray"}, "mine": {}, "theirs": {"driver": "x", "external": True}}}
    [found] = collisions.find_missing_plugins(doc, (NodeObs(id="1", plugins=DRIVERS),))
    assert found == "volumes.data.driver: no node has the volume driver rexray"
