"""Documents that Docker takes: a wide choice of what recipes say."""

from typing import Any

from tests.documents import deploying, document

FILES = {"configs": {"c": {"file": "./c.txt"}}, "secrets": {"s": {"file": "./s.txt"}}}
ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": document(),
    "everything of deploy": document(
        **deploying(
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
        ports=[{"target": 80, "published": 45674, "mode": "host"}], **deploying(endpoint_mode="dnsrr")
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
        FILES,
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
    "capabilities every way": document(cap_add=["net_admin", "CAP_SYS_TIME"], cap_drop=["NET_RAW", "net_admin"]),
    "all capabilities": document(cap_add=["ALL"], cap_drop=["CHOWN"]),
    "hosts and sysctls every way": document(
        extra_hosts={"other": "10.0.0.2", "six": "fe80::1"}, sysctls=["net.core.somaxconn=1024"], ulimits={"core": 0}
    ),
    "logging by options alone": document(logging={"options": {"max-size": "1m"}}),
    "files every way": document(
        FILES,
        configs=[{"source": "c"}, {"source": "c", "target": "relative/c", "uid": "5"}],
        secrets=[{"source": "s", "gid": "7", "mode": 0o600}],
    ),
    "networks of others": document(
        {"networks": {"n": {}, "out": {"external": True, "name": "host"}}}, networks=["out"]
    ),
    "texts that are no words": document(command="sh -c 'sleep 1000'", entrypoint="  env   A=b "),
    "text instead of lists": document(command="sleep 1000", tmpfs="/run", dns="10.0.0.1"),
    "what is ignored": document(
        depends_on=["app"], restart="always", container_name="x", expose=["80"], build=".", links=["app"]
    ),
    "global": document(**deploying(mode="global")),
    "replicated job": document(**deploying(mode="replicated-job", replicas=2)),
    "global job": document(**deploying(mode="global-job")),
    "extensions": {**document({"x-top": {"a": 1}}), "x-more": [1]},
    "no replicas": document(**deploying(replicas=0)),
    "the default network by name": document(networks={"default": {"aliases": ["a"]}}),
    "network that is declared empty": document({"networks": {"n": {}}}, networks={"n": None}),
}
"""Documents that Docker takes, whatever becomes of their tasks."""
NEWER: dict[str, dict[str, Any]] = {
    "limits of processes": document({"version": "3.13"}, **deploying(resources={"limits": {"pids": 100}})),
}
"""The same of a command line of 25 or newer."""
