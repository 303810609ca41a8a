"""A service of the Engine API in the terms in which it was sent, for `core.release.sent`. Pure.

A field that the engine leaves out where its default is meant is left out here, too, unless the default is known.
"""

import struct
from collections.abc import Sequence

from reconciler.model.base import Json

_MODES = {
    "Replicated": "replicated",
    "Global": "global",
    "ReplicatedJob": "replicated-job",
    "GlobalJob": "global-job",
}


def fields(spec: Json) -> dict[str, object]:
    """The fields of a service spec; None: the engine does not tell, which is no difference."""
    template = spec["TaskTemplate"]
    content = template.get("ContainerSpec") or {}
    kind = next((kind for kind in _MODES if kind in spec["Mode"]), "Replicated")
    mode = spec["Mode"].get(kind) or {}
    check, endpoint = content.get("Healthcheck") or {}, spec.get("EndpointSpec") or {}
    found: dict[str, object] = {
        "environment": _pairs(content.get("Env") or ()),
        "labels": spec.get("Labels") or {},
        "container_labels": content.get("Labels") or {},
        "mode": _MODES[kind],
        "endpoint_mode": endpoint.get("Mode"),
        "replicas": mode.get("Replicas", mode.get("TotalCompletions")),
        "mounts": sorted({_mount(raw) for raw in content.get("Mounts") or ()}),
        "ports": sorted({_port(raw) for raw in endpoint.get("Ports") or ()}),
        "configs": _files(content.get("Configs") or (), "ConfigName"),
        "secrets": _files(content.get("Secrets") or (), "SecretName"),
        # Swarm resolves the names that it is sent, and tells ids.
        "networks": [raw["Target"] for raw in template.get("Networks") or spec.get("Networks") or ()],
        "stop_grace_period": content.get("StopGracePeriod"),
        "hostname": content.get("Hostname"),
        "user": content.get("User"),
        "working_dir": content.get("Dir"),
        "stop_signal": content.get("StopSignal"),
        "init": content.get("Init"),
        "tty": bool(content.get("TTY")),
        "read_only": bool(content.get("ReadOnly")),
        "stdin_open": bool(content.get("OpenStdin")),
        "command": content.get("Args"),
        "entrypoint": content.get("Command"),
        "health.test": check.get("Test"),
        **{f"health.{name}": check.get(key) for name, key in _HEALTH.items()},
        **_container(content),
        **_template(template),
    }
    for short, key in (("update", "UpdateConfig"), ("rollback", "RollbackConfig")):
        body = spec.get(key) or {}
        found |= {f"{short}.{name}": body.get(told) for name, told in _UPDATE.items()}
        ratio = body.get("MaxFailureRatio")
        # Kept in 32 bits, and told in as many digits as those need.
        found[f"{short}.max_failure_ratio"] = struct.unpack("f", struct.pack("f", ratio))[0] if ratio else ratio
    return {key: value for key, value in found.items() if value is not None}


_HEALTH = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "retries": "Retries"}
_UPDATE = {
    "parallelism": "Parallelism",
    "failure_action": "FailureAction",
    "order": "Order",
    "delay": "Delay",
    "monitor": "Monitor",
}
_RESTART = {"condition": "Condition", "delay": "Delay", "window": "Window", "max_attempts": "MaxAttempts"}


def _template(template: Json) -> dict[str, object]:
    restart, placement = template.get("RestartPolicy") or {}, template.get("Placement") or {}
    found = {f"restart.{name}": restart.get(key) for name, key in _RESTART.items()}
    found |= {"constraints": placement.get("Constraints"), "max_replicas_per_node": placement.get("MaxReplicas")}
    found["preferences"] = [raw["Spread"]["SpreadDescriptor"] for raw in placement.get("Preferences") or ()]
    logging = template.get("LogDriver") or {}
    found |= {"logging.driver": logging.get("Name"), "logging.options": logging.get("Options") or {}}
    for name, key in (("limits", "Limits"), ("reservations", "Reservations")):
        body = (template.get("Resources") or {}).get(key) or {}
        found |= {f"{name}.cpus": body.get("NanoCPUs"), f"{name}.memory": body.get("MemoryBytes")}
        found |= {f"{name}.pids": body.get("Pids")}
    return found


def _container(content: Json) -> dict[str, object]:
    names = content.get("DNSConfig") or {}
    limits = content.get("Ulimits") or ()
    return {
        "cap_add": sorted(content.get("CapabilityAdd") or ()),
        "cap_drop": sorted(content.get("CapabilityDrop") or ()),
        "ulimits": sorted(f"{raw['Name']} {raw['Soft']}:{raw['Hard']}" for raw in limits),
        "dns": names.get("Nameservers") or [],
        "dns_search": names.get("Search") or [],
        "extra_hosts": sorted(content.get("Hosts") or ()),
        "sysctls": content.get("Sysctls") or {},
    }


def _pairs(lines: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _mount(raw: Json) -> str:
    access = " ro" if raw.get("ReadOnly") else ""
    return f"{raw.get('Type', 'volume')} {raw.get('Source', '')} {raw.get('Target', '')}{access}"


def _files(entries: Sequence[Json], name: str) -> list[str] | None:
    """`name target owner:group mode` of configs or secrets; None: one is no file, so that they are not compared."""
    if not all(raw.get("File") for raw in entries):
        return None
    files = [(raw[name], raw["File"]) for raw in entries]
    return sorted({f"{one} {file['Name']} {file['UID']}:{file['GID']} {file['Mode']:o}" for one, file in files})


def _port(raw: Json) -> str:
    where = f"{raw.get('PublishedPort', 0)}:{raw.get('TargetPort')}"
    return f"{where}/{raw.get('Protocol', 'tcp')} {raw.get('PublishMode', 'ingress')}"
