"""What the deploy tool and Swarm refuse in a document whose shape is right, found before anything is sent. Pure.

`docker stack config` does not see it: the tool finds half of it when it makes services, Swarm the other half when it is
asked to create one. Each rule was refused by a real engine (`tests/real/test_refusals.py`), with these words.
"""

import base64
import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from reconciler.core.release import compose, published
from reconciler.model.base import Json

Problem = tuple[str, str]
"""Where, and what is wrong, in Docker's words."""

_MIB = 1 << 20
_LEAST_MEMORY = 4 * _MIB
_LEAST_CPU = 0.001
_LONGEST_SERVICE = 63
_MOST_BYTES = {"configs": 1_024_000, "secrets": 512_000}
_DNS = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*")
_OBJECT = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?")
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9\-_.]+")
_VALUE = re.compile(r"[a-zA-Z0-9:\-_\s.*()?+\[\]\\^$|/]+")
_UNITS = {"": 1, "k": 1 << 10, "m": _MIB, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MODES = ("", "replicated", "global", "replicated-job", "global-job")
_MOUNTS = ("volume", "bind", "tmpfs", "npipe", "cluster", "image")
_PROPAGATIONS = ("", "rprivate", "private", "rshared", "shared", "rslave", "slave")


def find_problems(doc: Mapping[str, object], stack: str, files: Mapping[str, str]) -> Iterator[Problem]:
    """Everything that would be refused. `stack`: services are called after it; `files`: as in `model.release`."""
    for name, service in compose.services(doc).items():
        where = f"services.{name}"
        yield from _check_name(where, f"{stack}_{name}")
        yield from _check_references(where, doc, service)
        yield from _check_mounts(f"{where}.volumes", service)
        yield from _check_health(f"{where}.healthcheck", service.get("healthcheck") or {})
        deploy = service.get("deploy") or {}
        yield from _check_deploy(f"{where}.deploy", deploy)
        yield from _check_resources(f"{where}.deploy.resources", deploy.get("resources") or {})
        yield from _check_restart(where, service, deploy)
        yield from _check_ports(f"{where}.ports", service, deploy)
        for index, text in enumerate((deploy.get("placement") or {}).get("constraints") or ()):
            yield from _check_constraint(f"{where}.deploy.placement.constraints.{index}", str(text))
    yield from _check_ports_between(doc)
    for section, most in _MOST_BYTES.items():
        for key, body in compose.section(doc, section).items():
            yield from _check_file(f"{section}.{key}", body, files, most)
    for key, body in compose.section(doc, "networks").items():
        yield from _check_subnets(f"networks.{key}.ipam", body)


def find_mode_changes(doc: Mapping[str, object], modes: Mapping[str, str]) -> Iterator[Problem]:
    """Services that are of another mode than they would be, where they are updated in place. `modes`: as they run."""
    for name, service in compose.services(doc).items():
        wanted = str((service.get("deploy") or {}).get("mode") or "replicated")
        if modes.get(name, wanted) != wanted:
            yield f"services.{name}.deploy.mode", f"service mode change is not allowed: {modes[name]} to {wanted}"


def _check_file(where: str, body: Json, files: Mapping[str, str], most: int) -> Iterator[Problem]:
    if body.get("name") and not _OBJECT.fullmatch(str(body["name"])):
        yield f"{where}.name", "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed"
    content = files.get(str(body.get("file")))
    # None: the content is not ours to see; the engine has it already or makes it.
    if content is not None and not 0 < len(base64.b64decode(content)) < most:
        yield f"{where}.file", f"data must be larger than 0 and less than {most} bytes"


def _check_subnets(where: str, network: Json) -> Iterator[Problem]:
    for item in (network.get("ipam") or {}).get("config") or ():
        subnet = str(item.get("subnet") or "")
        try:
            valid = not subnet or ("/" in subnet and bool(ipaddress.ip_interface(subnet)))
        except ValueError:
            valid = False
        if not valid:
            yield where, f"Invalid subnet {subnet} : invalid CIDR address: {subnet}"


def _check_name(where: str, name: str) -> Iterator[Problem]:
    if len(name) > _LONGEST_SERVICE:
        yield where, f"name must be {_LONGEST_SERVICE} characters or fewer: {name}"
    elif not _DNS.fullmatch(name):
        yield where, f"name must be valid as a DNS name component: {name}"


def _check_references(where: str, doc: Mapping[str, object], service: Json) -> Iterator[Problem]:
    """Networks, secrets and configs that are not declared; volumes are checked where they are named."""
    for section in ("networks", "secrets", "configs"):
        declared = compose.section(doc, section)
        targets: set[str] = set()
        for item in service.get(section) or ():
            source = str(item.get("source") if isinstance(item, Mapping) else item)
            # Every stack has a network `default`, declared or not.
            if source not in declared and not (section == "networks" and source == "default"):
                yield f"{where}.{section}", f'undefined {section[:-1]} "{source}"'
            if section != "networks":
                target = str((item.get("target") if isinstance(item, Mapping) else None) or source)
                if target in targets:
                    yield f"{where}.{section}", f"duplicate {section[:-1]} target for {source} not allowed"
                targets.add(target)
        if section == "networks":
            yield from _check_scope(where, declared, service)


def _check_scope(where: str, declared: Mapping[str, Json], service: Json) -> Iterator[Problem]:
    for name in service.get("networks") or ():
        body = declared.get(str(name)) or {}
        # What an external network is can only be seen on the engine, which is asked for it elsewhere.
        if not body.get("external") and body.get("driver") == "bridge":
            yield (
                f"{where}.networks",
                f"The network {name} cannot be used with services. Only networks scoped to the swarm can be used, such"
                " as those created with the overlay driver.",
            )


def _check_targets(where: str, service: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for mount in compose.list_mounts(service):
        target = posixpath.normpath(mount.target) if mount.target else ""
        if not target.startswith("/"):
            yield where, f"invalid mount target, must be an absolute path: {mount.target}"
        elif target == "/":
            yield where, "invalid specification: destination can't be '/'"
        elif target in seen:
            yield where, f"duplicate mount point: {target}"
        seen.add(target)


def _check_mounts(where: str, service: Json) -> Iterator[Problem]:
    yield from _check_targets(where, service)
    for index, entry in enumerate(service.get("volumes") or ()):
        if not isinstance(entry, Mapping):
            continue
        at, kind = f"{where}.{index}", str(entry.get("type") or "volume")
        if kind not in _MOUNTS:
            yield at, f"volume type must be volume, bind, tmpfs, npipe, or cluster, not {kind}"
        if kind == "tmpfs" and entry.get("source"):
            yield at, "invalid tmpfs source, source must be empty"
        for option in ("bind", "volume", "tmpfs"):
            if entry.get(option) and kind in ("bind", "volume", "tmpfs") and option != kind:
                yield at, f"{option} options are incompatible with type {kind}"
        propagation = str((entry.get("bind") or {}).get("propagation") or "")
        if propagation not in _PROPAGATIONS:
            yield at, f'invalid MountPropagation: "{propagation}"'


def _check_health(where: str, check: Json) -> Iterator[Problem]:
    if check.get("disable") and check.get("test"):
        yield where, "test and disable can't be set at the same time"
    for key in ("interval", "timeout", "start_period", "start_interval"):
        given = _seconds(check.get(key))
        if given is not None and given != 0 and given < 0.001:
            yield f"{where}.{key}", f"{key} in HealthConfig cannot be less than 1ms"


def _check_deploy(where: str, deploy: Json) -> Iterator[Problem]:
    mode = str(deploy.get("mode") or "")
    if mode not in _MODES:
        yield f"{where}.mode", f"Unknown mode: {mode}"
    if mode.startswith("global") and deploy.get("replicas") is not None:
        yield f"{where}.replicas", "replicas can only be used with replicated or replicated-job mode"
    if mode.endswith("-job") and deploy.get("update_config"):
        yield f"{where}.update_config", "Jobs may not have an update config"
    endpoint = str(deploy.get("endpoint_mode") or "vip")
    if endpoint not in ("vip", "dnsrr"):
        yield f"{where}.endpoint_mode", f'invalid resolution mode: "{endpoint}"'
    for key, actions in (("update_config", "pause continue rollback"), ("rollback_config", "pause continue")):
        body = deploy.get(key) or {}
        action = str(body.get("failure_action") or "pause")
        if action not in actions.split():
            yield f"{where}.{key}.failure_action", f"unrecognized {key.partition('_')[0]} failure action {action}"
        ratio = body.get("max_failure_ratio") or 0
        if isinstance(ratio, int | float) and not 0 <= ratio <= 1:
            yield f"{where}.{key}.max_failure_ratio", "cannot be less than 0 or bigger than 1"
        for name in ("delay", "monitor"):
            if (_seconds(body.get(name)) or 0) < 0:
                yield f"{where}.{key}.{name}", f"{name} cannot be negative"


def _check_resources(where: str, resources: Json) -> Iterator[Problem]:
    for key in ("limits", "reservations"):
        body = resources.get(key) or {}
        cpus, memory = body.get("cpus"), _bytes(body.get("memory"))
        share = None if cpus is None else _share(str(cpus))
        if cpus is not None and share is None:
            yield f"{where}.{key}.cpus", f"failed to parse {cpus} as a rational number"
        elif share is not None and 0 < share < _LEAST_CPU:
            yield f"{where}.{key}.cpus", f"invalid cpu value {cpus}: Must be at least {_LEAST_CPU}"
        if memory is not None and 0 < memory < _LEAST_MEMORY:
            yield f"{where}.{key}.memory", f"invalid memory value {body['memory']}: Must be at least 4MiB"


def _check_restart(where: str, service: Json, deploy: Json) -> Iterator[Problem]:
    policy = deploy.get("restart_policy")
    if policy:
        condition = str(policy.get("condition") or "any")
        if condition not in ("none", "on-failure", "any"):
            yield f"{where}.deploy.restart_policy.condition", f'invalid RestartCondition: "{condition}"'
        for name in ("delay", "window"):
            if (_seconds(policy.get(name)) or 0) < 0:
                yield f"{where}.deploy.restart_policy.{name}", f"restart-{name} cannot be negative"
    elif not re.fullmatch(r"|no|always|unless-stopped|on-failure(:\d+)?", str(service.get("restart") or "")):
        yield f"{where}.restart", f"unknown restart policy: {service['restart']}"


def _check_ports(where: str, service: Json, deploy: Json) -> Iterator[Problem]:
    taken: set[tuple[int, str]] = set()
    for port in published.list_ports(service):
        if port.mode == "ingress" and deploy.get("endpoint_mode") == "dnsrr":
            yield where, "EndpointSpec: port published with ingress mode can't be used with dnsrr mode"
            return
        if (port.number, port.protocol) in taken:
            yield where, f"EndpointSpec: duplicate published ports provided: {port.number}/{port.protocol}"
        taken.add((port.number, port.protocol))


def _check_ports_between(doc: Mapping[str, object]) -> Iterator[Problem]:
    """Two services of the document at one port, where the Swarm's own mesh is one side; two nodes may have it both."""
    seen: dict[tuple[int, str], tuple[str, str]] = {}
    for name, service in compose.services(doc).items():
        for port in published.list_ports(service):
            other, mode = seen.setdefault((port.number, port.protocol), (name, port.mode))
            if other != name and "ingress" in (mode, port.mode):
                how = "an ingress port" if mode == "ingress" else "a host-published port"
                says = f"port '{port.number}' is already in use by service '{other}' as {how}"
                yield f"services.{name}.ports", says


def _check_constraint(where: str, text: str) -> Iterator[Problem]:
    """The first operator that stands in the text counts, == before !=."""
    for operator in ("==", "!="):
        parts = text.split(operator, 1)
        if len(parts) < 2:
            continue
        key, value = (part.strip() for part in parts)
        if not _KEY.fullmatch(key):
            yield where, f"key '{key}' is invalid"
        elif not _VALUE.fullmatch(value):
            yield where, f"value '{value}' is invalid"
        return
    yield where, f"constraint expected one operator from ==, !=: {text}"


def _seconds(value: object) -> float | None:
    """A duration of the tool's kind (`1m30s`); None if there is none, or none that we can read."""
    parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", str(value))
    if not isinstance(value, str) or "".join(map("".join, parts)) != value.lstrip("+-"):
        return None
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return -total if value.startswith("-") else total


def _bytes(value: object) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", str(value).lower())
    return float(found[1]) * _UNITS[found[2]] if found else None


def _share(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
