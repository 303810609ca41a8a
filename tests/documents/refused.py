"""Documents that Docker refuses, by its loader or later."""

from dataclasses import dataclass
from typing import Any

from tests.documents import IMAGE, deploying, document


@dataclass(frozen=True)
class Refused:
    """A document that Docker refuses: at which place, in which words of its own."""

    name: str
    doc: dict[str, Any]
    place: str
    says: str = ""


def _shape(name: str, place: str, **service: Any) -> Refused:
    return Refused(name, document(**service), f"services.app{place}")


def _rule(name: str, place: str, says: str, top: dict[str, Any] | None = None, **service: Any) -> Refused:
    return Refused(name, document(top, **service), place if place[:1].isalpha() else f"services.app{place}", says)


SHAPES = [
    _shape("unknown key", "", imagee="x"),
    _shape("compose key that stacks do not have", "", profiles=["extra"]),
    _shape("replicas in words", ".deploy.replicas", **deploying(replicas="two")),
    _shape("replicas in quotes", ".deploy.replicas", **deploying(replicas="2")),
    _shape("duration without a unit", ".stop_grace_period", stop_grace_period=10),
    _shape("duration in words", ".stop_grace_period", stop_grace_period="5 minutes"),
    _shape("health interval", ".healthcheck.interval", healthcheck={"test": "x", "interval": "3x"}),
    _shape("restart delay", ".deploy.restart_policy.delay", **deploying(restart_policy={"delay": "soon"})),
    _shape("unknown key of deploy", ".deploy", **deploying(replica=2)),
    _shape("unknown order", ".deploy.update_config.order", **deploying(update_config={"order": "sideways"})),
    _shape("cpus as a number", ".deploy.resources.limits.cpus", **deploying(resources={"limits": {"cpus": 0.5}})),
    _shape("user as a number", ".user", user=5),
    _shape("a boolean in the environment", ".environment.DEBUG", environment={"DEBUG": False}),
    _shape("depends_on as a mapping", ".depends_on", depends_on={"db": {"condition": "service_healthy"}}),
    _shape("port in words", ".ports.0.target", ports=[{"target": "web", "published": 80}]),
    _shape("mode in quotes", ".configs.0.mode", configs=[{"source": "x", "mode": "0444"}]),
    _shape("privileged in words", ".privileged", privileged="yes"),
    Refused(
        "memory",
        document(**deploying(resources={"limits": {"memory": "1x"}})),
        "services.app.deploy.resources.limits.memory",
    ),
    Refused("config content", document({"configs": {"c": {"content": "hello"}}}), "configs.c"),
    Refused("name at the top", document({"name": "lab"}), "(root)"),
    Refused("a version that is a number", {**document(), "version": 3.8}, "version"),
    Refused("external in words", document({"networks": {"n": {"external": "yes"}}}), "networks.n.external"),
]
"""Refused by the loader of the deploy tool."""


def _publishing(port: int, **more: Any) -> dict[str, Any]:
    service: dict[str, Any] = document(ports=[{"target": 80, "published": port, **more}])["services"]["app"]
    return service


_CONFIGS = {"configs": {"a": {"external": True}, "b": {"external": True}}}
LATER = [
    _rule(
        "no operator",
        ".deploy.placement.constraints.0",
        "expected one operator from ==, !=",
        **deploying(placement={"constraints": ["node.role ~ x"]}),
    ),
    _rule(
        "constraint key",
        ".deploy.placement.constraints.0",
        "key 'node.ro le' is invalid",
        **deploying(placement={"constraints": ["node.ro le==manager"]}),
    ),
    _rule(
        "constraint value",
        ".deploy.placement.constraints.0",
        "value 'x,y' is invalid",
        **deploying(placement={"constraints": ["node.labels.a==x,y"]}),
    ),
    _rule(
        "constraint without a value",
        ".deploy.placement.constraints.0",
        "value '' is invalid",
        **deploying(placement={"constraints": ["node.labels.a=="]}),
    ),
    _rule(
        "little memory",
        ".deploy.resources.limits.memory",
        "Must be at least 4MiB",
        **deploying(resources={"limits": {"memory": "1000"}}),
    ),
    _rule(
        "little cpu",
        ".deploy.resources.reservations.cpus",
        "Must be at least 0.001",
        **deploying(resources={"reservations": {"cpus": "0.0001"}}),
    ),
    _rule(
        "cpu in words",
        ".deploy.resources.limits.cpus",
        "as a rational number",
        **deploying(resources={"limits": {"cpus": "half"}}),
    ),
    _rule("mode", ".deploy.mode", "Unknown mode: foo", **deploying(mode="foo")),
    _rule("endpoint mode", ".deploy.endpoint_mode", 'invalid resolution mode: "foo"', **deploying(endpoint_mode="foo")),
    _rule(
        "restart condition",
        ".deploy.restart_policy.condition",
        'invalid RestartCondition: "maybe"',
        **deploying(restart_policy={"condition": "maybe"}),
    ),
    _rule("restart", ".restart", "unknown restart policy: bogus", restart="bogus"),
    _rule(
        "negative restart delay",
        ".deploy.restart_policy.delay",
        "restart-delay cannot be negative",
        **deploying(restart_policy={"delay": "-1s"}),
    ),
    _rule("mount type", ".volumes.0", "volume type must be", volumes=[{"type": "foo", "target": "/x"}]),
    _rule(
        "tmpfs with a source",
        ".volumes.0",
        "invalid tmpfs source",
        volumes=[{"type": "tmpfs", "source": "x", "target": "/x"}],
    ),
    _rule(
        "volume options of a bind",
        ".volumes.0",
        "volume options are incompatible with type bind",
        volumes=[{"type": "bind", "source": "/tmp", "target": "/x", "volume": {"nocopy": True}}],
    ),
    _rule(
        "propagation",
        ".volumes.0",
        'invalid MountPropagation: "odd"',
        volumes=[{"type": "bind", "source": "/tmp", "target": "/x", "bind": {"propagation": "odd"}}],
    ),
    _rule(
        "ingress port with dnsrr",
        ".ports",
        "can't be used with dnsrr mode",
        ports=[{"target": 80, "published": 45678}],
        **deploying(endpoint_mode="dnsrr"),
    ),
    _rule(
        "one port twice",
        ".ports",
        "duplicate published ports",
        ports=[{"target": 80, "published": 45678}, {"target": 81, "published": 45678}],
    ),
    Refused(
        "one port of two services",
        document() | {"services": {name: _publishing(45679) for name in ("app", "other")}},
        "services.other.ports",
        "port '45679' is already in use by service",
    ),
    Refused(
        "one port of the mesh and of a node",
        document() | {"services": {"app": _publishing(45680), "other": _publishing(45680, mode="host")}},
        "services.other.ports",
        "port '45680' is already in use by service",
    ),
    _rule(
        "one target of two volumes",
        ".volumes",
        "duplicate mount point: /data",
        {"volumes": {"one": {}, "two": {}}},
        volumes=["one:/data", {"type": "volume", "source": "two", "target": "/data"}],
    ),
    _rule(
        "replicas of a global service",
        ".deploy.replicas",
        "replicas can only be used",
        **deploying(mode="global", replicas=2),
    ),
    _rule(
        "update config of a job",
        ".deploy.update_config",
        "Jobs may not have an update config",
        **deploying(mode="replicated-job", update_config={"parallelism": 1}),
    ),
    _rule(
        "short health interval",
        ".healthcheck.interval",
        "cannot be less than 1ms",
        healthcheck={"test": "true", "interval": "1us"},
    ),
    _rule(
        "test and disable",
        ".healthcheck",
        "test and disable can't be set at the same time",
        healthcheck={"test": ["CMD", "true"], "disable": True},
    ),
    _rule(
        "failure action",
        ".deploy.update_config.failure_action",
        "unrecognized update failure action explode",
        **deploying(update_config={"failure_action": "explode"}),
    ),
    _rule(
        "failure ratio",
        ".deploy.update_config.max_failure_ratio",
        "cannot be less than 0 or bigger than 1",
        **deploying(update_config={"max_failure_ratio": 2.0}),
    ),
    _rule(
        "negative delay",
        ".deploy.update_config.delay",
        "delay cannot be negative",
        **deploying(update_config={"delay": "-1s"}),
    ),
    _rule("network that nobody declares", ".networks", 'undefined network "nope"', networks={"nope": None}),
    _rule("secret that nobody declares", ".secrets", 'undefined secret "nope"', secrets=["nope"]),
    _rule("config that nobody declares", ".configs", 'undefined config "nope"', configs=["nope"]),
    _rule(
        "bridge network",
        ".networks",
        "Only networks scoped to the swarm can be used",
        {"networks": {"n": {"driver": "bridge"}}},
        networks={"n": None},
    ),
    _rule(
        "subnet",
        "networks.n.ipam",
        "10.0.0.0",  # what is wrong with it each Engine says in its own words (moby v2: netip.ParsePrefix)
        {"networks": {"n": {"ipam": {"config": [{"subnet": "10.0.0.0"}]}}}},
        networks={"n": None},
    ),
    _rule(
        "two configs at one place",
        ".configs",
        "duplicate config target",
        _CONFIGS,
        configs=[{"source": "a", "target": "/x"}, {"source": "b", "target": "/x"}],
    ),
    Refused(
        "long name",
        {"version": "3.8", "services": {"a" * 60: {"image": IMAGE}}},
        f"services.{'a' * 60}",
        "63 characters or fewer",
    ),
    Refused(
        "name with a dot",
        {"version": "3.8", "services": {"a.b": {"image": IMAGE}}},
        "services.a.b",
        "valid as a DNS name component",
    ),
]
"""Of the right shape, and refused by the deploy tool or by Swarm when services are made."""
