"""Compose documents of which it is known what Docker does with them: `tests/real` asks it, other tests rely on it."""

from dataclasses import dataclass
from typing import Any

IMAGE = "ci-warm-documents:1"
"""Where an engine is asked, the image of the tests stands in its place."""


@dataclass(frozen=True)
class Refused:
    """A document that Docker refuses: at which place, in which words of its own."""

    name: str
    doc: dict[str, Any]
    place: str
    says: str = ""


def document(top: dict[str, Any] | None = None, /, **service: Any) -> dict[str, Any]:
    """A stack of one service."""
    base = {"image": IMAGE, "command": ["sleep", "1000"], "stop_grace_period": "0s"}
    return {"version": "3.8", "services": {"app": base | service}, **(top or {})}


def _shape(name: str, place: str, **service: Any) -> Refused:
    return Refused(name, document(**service), f"services.app{place}")


def _rule(name: str, place: str, says: str, top: dict[str, Any] | None = None, **service: Any) -> Refused:
    return Refused(name, document(top, **service), place if place[:1].isalpha() else f"services.app{place}", says)


def _deploy(**deploy: Any) -> dict[str, Any]:
    return {"deploy": deploy}


SHAPES = [
    _shape("unknown key", "", imagee="x"),
    _shape("compose key that stacks do not have", "", profiles=["extra"]),
    _shape("replicas in words", ".deploy.replicas", **_deploy(replicas="two")),
    _shape("replicas in quotes", ".deploy.replicas", **_deploy(replicas="2")),
    _shape("duration without a unit", ".stop_grace_period", stop_grace_period=10),
    _shape("duration in words", ".stop_grace_period", stop_grace_period="5 minutes"),
    _shape("health interval", ".healthcheck.interval", healthcheck={"test": "x", "interval": "3x"}),
    _shape("restart delay", ".deploy.restart_policy.delay", **_deploy(restart_policy={"delay": "soon"})),
    _shape("unknown key of deploy", ".deploy", **_deploy(replica=2)),
    _shape("unknown order", ".deploy.update_config.order", **_deploy(update_config={"order": "sideways"})),
    _shape("cpus as a number", ".deploy.resources.limits.cpus", **_deploy(resources={"limits": {"cpus": 0.5}})),
    _shape("user as a number", ".user", user=5),
    _shape("a boolean in the environment", ".environment.DEBUG", environment={"DEBUG": False}),
    _shape("depends_on as a mapping", ".depends_on", depends_on={"db": {"condition": "service_healthy"}}),
    _shape("port in words", ".ports.0.target", ports=[{"target": "web", "published": 80}]),
    _shape("mode in quotes", ".configs.0.mode", configs=[{"source": "x", "mode": "0444"}]),
    _shape("privileged in words", ".privileged", privileged="yes"),
    Refused(
        "memory",
        document(**_deploy(resources={"limits": {"memory": "1x"}})),
        "services.app.deploy.resources.limits.memory",
    ),
    Refused("config content", document({"configs": {"c": {"content": "hello"}}}), "configs.c"),
    Refused("name at the top", document({"name": "lab"}), "(root)"),
    Refused("a version that is a number", {**document(), "version": 3.8}, "version"),
    Refused("external in words", document({"networks": {"n": {"external": "yes"}}}), "networks.n.external"),
]
"""Refused by the loader of the deploy tool."""

_CONFIGS = {"configs": {"a": {"external": True}, "b": {"external": True}}}
LATER = [
    _rule(
        "no operator",
        ".deploy.placement.constraints.0",
        "expected one operator from ==, !=",
        **_deploy(placement={"constraints": ["node.role ~ x"]}),
    ),
    _rule(
        "constraint key",
        ".deploy.placement.constraints.0",
        "key 'node.ro le' is invalid",
        **_deploy(placement={"constraints": ["node.ro le==manager"]}),
    ),
    _rule(
        "constraint value",
        ".deploy.placement.constraints.0",
        "value 'x,y' is invalid",
        **_deploy(placement={"constraints": ["node.labels.a==x,y"]}),
    ),
    _rule(
        "constraint without a value",
        ".deploy.placement.constraints.0",
        "value '' is invalid",
        **_deploy(placement={"constraints": ["node.labels.a=="]}),
    ),
    _rule(
        "little memory",
        ".deploy.resources.limits.memory",
        "Must be at least 4MiB",
        **_deploy(resources={"limits": {"memory": "1000"}}),
    ),
    _rule(
        "little cpu",
        ".deploy.resources.reservations.cpus",
        "Must be at least 0.001",
        **_deploy(resources={"reservations": {"cpus": "0.0001"}}),
    ),
    _rule(
        "cpu in words",
        ".deploy.resources.limits.cpus",
        "as a rational number",
        **_deploy(resources={"limits": {"cpus": "half"}}),
    ),
    _rule("mode", ".deploy.mode", "Unknown mode: foo", **_deploy(mode="foo")),
    _rule("endpoint mode", ".deploy.endpoint_mode", 'invalid resolution mode: "foo"', **_deploy(endpoint_mode="foo")),
    _rule(
        "restart condition",
        ".deploy.restart_policy.condition",
        'invalid RestartCondition: "maybe"',
        **_deploy(restart_policy={"condition": "maybe"}),
    ),
    _rule("restart", ".restart", "unknown restart policy: bogus", restart="bogus"),
    _rule(
        "negative restart delay",
        ".deploy.restart_policy.delay",
        "restart-delay cannot be negative",
        **_deploy(restart_policy={"delay": "-1s"}),
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
        **_deploy(endpoint_mode="dnsrr"),
    ),
    _rule(
        "one port twice",
        ".ports",
        "duplicate published ports",
        ports=[{"target": 80, "published": 45678}, {"target": 81, "published": 45678}],
    ),
    _rule(
        "replicas of a global service",
        ".deploy.replicas",
        "replicas can only be used",
        **_deploy(mode="global", replicas=2),
    ),
    _rule(
        "update config of a job",
        ".deploy.update_config",
        "Jobs may not have an update config",
        **_deploy(mode="replicated-job", update_config={"parallelism": 1}),
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
        **_deploy(update_config={"failure_action": "explode"}),
    ),
    _rule(
        "failure ratio",
        ".deploy.update_config.max_failure_ratio",
        "cannot be less than 0 or bigger than 1",
        **_deploy(update_config={"max_failure_ratio": 2.0}),
    ),
    _rule(
        "negative delay",
        ".deploy.update_config.delay",
        "delay cannot be negative",
        **_deploy(update_config={"delay": "-1s"}),
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
        "invalid CIDR address",
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

_FILES = {"configs": {"c": {"file": "./c.txt"}}, "secrets": {"s": {"file": "./s.txt"}}}
ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": document(),
    "everything of deploy": document(
        **_deploy(
            mode="replicated",
            replicas=1,
            endpoint_mode="vip",
            labels={"a": "b", "n": 5},
            update_config={
                "parallelism": 1,
                "delay": "1s",
                "failure_action": "pause",
                "monitor": "1m30s",
                "max_failure_ratio": 0.3,
                "order": "start-first",
            },
            rollback_config={"parallelism": 0, "delay": "0s", "failure_action": "continue", "order": "stop-first"},
            resources={"limits": {"cpus": "0.50", "memory": "64M"}, "reservations": {"cpus": "0.01", "memory": "20mb"}},
            restart_policy={"condition": "on-failure", "delay": "5s", "max_attempts": 3, "window": "2m"},
            placement={
                "constraints": ["node.role==manager", "node.hostname != nowhere", "engine.labels.a.b!=c"],
                "preferences": [{"spread": "node.labels.zone"}],
                "max_replicas_per_node": 2,
            },
        )
    ),
    "health": document(
        healthcheck={"test": "true", "interval": "1m30s", "timeout": "10s", "retries": 3, "start_period": "1h"}
    ),
    "health off": document(healthcheck={"disable": True}),
    "health none": document(healthcheck={"test": ["NONE"]}),
    "ports": document(
        ports=["45670:80", "45671:81/udp", {"target": 82, "published": 45672, "protocol": "tcp", "mode": "host"}, 83]
    ),
    "one port in both protocols": document(
        ports=[{"target": 80, "published": 45673}, {"target": 80, "published": 45673, "protocol": "udp"}]
    ),
    "dnsrr with a host port": document(
        ports=[{"target": 80, "published": 45674, "mode": "host"}], **_deploy(endpoint_mode="dnsrr")
    ),
    "mounts": document(
        {"volumes": {"data": {}, "tmp": {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}}}},
        volumes=[
            "data:/data",
            "data:/again:ro",
            "/tmp:/host:ro",
            {"type": "volume", "source": "tmp", "target": "/t", "volume": {"nocopy": True}},
            {"type": "tmpfs", "target": "/run", "tmpfs": {"size": 1000000}},
            {"type": "bind", "source": "/tmp", "target": "/b", "read_only": True, "bind": {"propagation": "rslave"}},
            "/anonymous",
        ],
    ),
    "networks": document(
        {
            "networks": {
                "inner": {
                    "internal": True,
                    "attachable": True,
                    "driver_opts": {"encrypted": "true"},
                    "labels": ["a=b"],
                },
                "outer": {"driver": "overlay", "ipam": {"driver": "default", "config": [{"subnet": "10.231.7.0/24"}]}},
            }
        },
        networks={"inner": {"aliases": ["one", "two"]}, "outer": None},
    ),
    "configs and secrets": document(
        _FILES,
        configs=["c", {"source": "c", "target": "/etc/c", "uid": "1", "gid": "1", "mode": 0o440}],
        secrets=["s", {"source": "s", "target": "other", "mode": 0o400}],
    ),
    "what a container may have": document(
        environment={"A": "b", "N": 5, "F": 0.5, "EMPTY": "", "DOLLAR": "a$b"},
        cap_add=["NET_ADMIN"],
        cap_drop=["ALL"],
        dns=["10.0.0.1"],
        dns_search=["example.test"],
        extra_hosts=["other:10.0.0.2"],
        hostname="{{.Node.Hostname}}",
        init=True,
        labels={"a": "b"},
        logging={"driver": "json-file", "options": {"max-size": "10m", "max-file": 3}},
        read_only=True,
        stdin_open=True,
        tty=True,
        stop_signal="SIGINT",
        sysctls={"net.core.somaxconn": "1024"},
        ulimits={"nofile": {"soft": 1000, "hard": 2000}, "nproc": 500},
        user="1000:1000",
        working_dir="/tmp",
        entrypoint=["/bin/sh", "-c"],
    ),
    "text instead of lists": document(command="sleep 1000", tmpfs="/run", dns="10.0.0.1"),
    "what is ignored": document(
        depends_on=["app"], restart="always", container_name="x", expose=["80"], build=".", links=["app"]
    ),
    "global": document(**_deploy(mode="global")),
    "replicated job": document(**_deploy(mode="replicated-job", replicas=2)),
    "global job": document(**_deploy(mode="global-job")),
    "extensions": {**document({"x-top": {"a": 1}}), "x-more": [1]},
    "no replicas": document(**_deploy(replicas=0)),
    "the default network by name": document(networks={"default": {"aliases": ["a"]}}),
    "network that is declared empty": document({"networks": {"n": {}}}, networks={"n": None}),
}
"""Documents that Docker takes, whatever becomes of their tasks."""
