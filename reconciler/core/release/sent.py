"""Is what stands what was sent: every field of services, networks and volumes that we know how to compare. Pure.

Docker normalises what it is sent (defaults, order, units, names), so a field is compared only where it is known what
becomes of it; `tests/real/test_sent.py` holds that to a wide corpus. A field that is missed costs less than a release
that is taken back for nothing (docs/adr/0016).
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from reconciler.core.release import compose, networks, sent_container
from reconciler.model.base import Json
from reconciler.model.observed import StackObs

_NS = 1_000_000_000
_SECONDS = {"ns": Fraction(1, _NS), "us": Fraction(1, 10**6), "ms": Fraction(1, 1000)}
_SECONDS |= {"s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_ANY_EXTRA = frozenset({"labels", "container_labels"})
"""Where the deploy tool adds keys of its own."""
_SECRET = frozenset({"environment", "labels", "container_labels", "logging.options"})
"""Whose values are not told, only their keys."""
_OUTSIDE = "(external)"
_FILE_MODE = 0o444
"""Of configs and secrets that say none."""


def find_differences(doc: Mapping[str, object], stack_name: str, stack: StackObs) -> tuple[str, ...]:
    """Every way in which what stands is not this document, by name; () means none that we can tell."""
    found = list(networks.find_changed(doc, stack_name, stack.networks).values())
    for name, body in compose.services(doc).items():
        service = stack.service(name)
        # An engine that tells no fields of its services cannot be compared with, and is not blamed for it.
        if service is None or not service.told:
            continue
        told = dict(service.told)
        told["networks"] = _name_networks(told.get("networks"), doc, stack_name, stack)
        for key, sent in describe(doc, stack_name, body).items():
            if told.get(key) is not None:
                found += (f"service {name}: {text}" for text in _compare(key, sent, told[key]))
    return tuple(found)


def _name_networks(ids: object, doc: Mapping[str, object], stack_name: str, stack: StackObs) -> list[str] | None:
    """Networks by the name that the document has for them; of one that is not the stack's own only that it is there.

    None: the engine does not tell them.
    """
    if not isinstance(ids, list) or not all(network.id for network in stack.networks):
        return None
    declared = compose.section(doc, "networks")
    # One that is declared as somebody else's is sent as such, though an earlier release of this stack may have made it.
    own = [key for key in ("default", *declared) if not (declared.get(key) or {}).get("external")]
    names = {_engine_name(stack_name, key, declared.get(key) or {}): key for key in own}
    keys = {network.id: names.get(network.name, _OUTSIDE) for network in stack.networks}
    return sorted(keys.get(one, _OUTSIDE) for one in ids)


def _engine_name(stack_name: str, key: str, body: Json) -> str:
    """A name that the document gives, and the key of what is external, stand as they are."""
    outside = body.get("external")
    given = body.get("name") or (outside.get("name") if isinstance(outside, Mapping) else None)
    return str(given or (key if outside else f"{stack_name}_{key}"))


def _compare(key: str, sent: object, told: object) -> Iterator[str]:
    if sent == told:
        return
    if not isinstance(sent, Mapping) or not isinstance(told, Mapping):
        yield f"{key} is {told!r}, sent {sent!r}"
        return
    # None is a value whose form the engine chooses, so only its absence would tell something.
    names = [name for name in sent if sent[name] is not None and sent[name] != told.get(name)]
    if key not in _ANY_EXTRA:
        names += [name for name in told if name not in sent]
    for name in names:
        values = "" if key in _SECRET else f" ({told.get(name)!r}, sent {sent.get(name)!r})"
        yield f"{key} {name} differs{values}"


def describe(doc: Mapping[str, object], stack_name: str, service: Json) -> dict[str, object]:
    """The fields of one service as the engine should tell them: numbers in ns, bytes and nano-CPUs.

    A field that is not sent, or in a form of which we are not sure, is left out. In a mapping None stands for a value
    that is there and is not compared.
    """
    deploy = service.get("deploy") or {}
    fields: dict[str, object] = {
        "environment": {str(key): _plain(value) for key, value in (service.get("environment") or {}).items()},
        "labels": {str(key): _plain(value) for key, value in (deploy.get("labels") or {}).items()},
        "container_labels": {str(key): _plain(value) for key, value in (service.get("labels") or {}).items()},
        "mode": deploy.get("mode") or "replicated",
        "endpoint_mode": deploy.get("endpoint_mode") or "vip",
        "mounts": _mounts(doc, stack_name, service),
        "ports": _ports(service.get("ports") or ()),
        "configs": _files(doc, stack_name, service, "configs"),
        "secrets": _files(doc, stack_name, service, "secrets"),
        "stop_grace_period": _ns(service.get("stop_grace_period")),
        **{key: service.get(key) for key in ("hostname", "user", "working_dir", "stop_signal") if service.get(key)},
        **{key: service.get(key) for key in ("init", "tty", "read_only", "stdin_open") if key in service},
        **{key: sent_container.split_words(service.get(key)) for key in ("command", "entrypoint")},
        **sent_container.describe(service),
        "networks": _networks(doc, service),
        **_healthcheck(service.get("healthcheck") or {}),
        **_deploy(deploy),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _networks(doc: Mapping[str, object], service: Json) -> list[str] | None:
    if service.get("network_mode"):
        return None
    declared = compose.section(doc, "networks")
    keys = service.get("networks") or ("default",)
    return sorted(_OUTSIDE if (declared.get(key) or {}).get("external") else str(key) for key in keys)


def _deploy(deploy: Json) -> dict[str, object]:
    restart, placement = deploy.get("restart_policy") or {}, deploy.get("placement") or {}
    fields: dict[str, object] = {
        "restart.condition": restart.get("condition") or None,
        "restart.delay": _ns(restart.get("delay")),
        "restart.window": _ns(restart.get("window")),
        "restart.max_attempts": restart.get("max_attempts"),
        "constraints": _list(placement.get("constraints")),
        "preferences": [str(one.get("spread")) for one in placement.get("preferences") or ()],
        "max_replicas_per_node": placement.get("max_replicas_per_node"),
        "replicas": deploy.get("replicas") if not str(deploy.get("mode", "")).startswith("global") else None,
    }
    for kind in ("limits", "reservations"):
        body = (deploy.get("resources") or {}).get(kind) or {}
        fields |= {f"{kind}.cpus": _nano(body.get("cpus")), f"{kind}.memory": _size(body.get("memory"))}
        fields |= {f"{kind}.pids": body.get("pids")}
    for kind, short in (("update_config", "update"), ("rollback_config", "rollback")):
        body = deploy.get(kind) or {}
        fields |= {f"{short}.parallelism": body.get("parallelism")}
        fields |= {f"{short}.max_failure_ratio": _ratio(body.get("max_failure_ratio"))}
        # Empty text says nothing, and the engine chooses.
        fields |= {f"{short}.{key}": body.get(key) or None for key in ("failure_action", "order")}
        fields |= {f"{short}.{key}": _ns(body.get(key)) for key in ("delay", "monitor")}
    return fields


def _healthcheck(check: Json) -> dict[str, object]:
    test = check.get("test")
    if check.get("disable"):
        test = ["NONE"]
    # The compose format's short form; the engine only knows the list.
    elif isinstance(test, str):
        test = ["CMD-SHELL", test]
    found: dict[str, object] = {f"health.{key}": _ns(check.get(key)) for key in ("interval", "timeout", "start_period")}
    return found | {"health.test": _list(test), "health.retries": check.get("retries")}


def _files(doc: Mapping[str, object], stack_name: str, service: Json, section: str) -> list[str] | None:
    """`name target owner:group mode` of configs or secrets; our names follow their content, so one is one content."""
    declared, found = compose.section(doc, section), set()
    for item in service.get(section) or ():
        given = item if isinstance(item, Mapping) else {"source": item}
        key, mode = str(given.get("source")), given.get("mode", _FILE_MODE)
        body = declared.get(key)
        if body is None or not isinstance(mode, int):
            return None
        owner = f"{given.get('uid') or 0}:{given.get('gid') or 0}"
        found.add(f"{_engine_name(stack_name, key, body)} {given.get('target') or key} {owner} {mode:o}")
    return sorted(found)


def _mounts(doc: Mapping[str, object], stack_name: str, service: Json) -> list[str] | None:
    """`type source target [ro]` of each; None if one of them is not plain enough to tell."""
    declared, found = compose.section(doc, "volumes"), set()
    for kind, source, target, read_only in compose.list_mounts(service):
        if kind == "volume" and source:
            name = _engine_name(stack_name, source, declared.get(source) or {})
        elif kind in ("tmpfs", "volume") or (kind == "bind" and source.startswith("/")):
            name = source
        else:
            return None
        if not target.startswith("/") or target.endswith("/"):
            return None
        found.add(f"{kind} {name} {target}{' ro' if read_only else ''}")
    return sorted(found)


def _ports(ports: Sequence[object]) -> list[str] | None:
    """`published:target/protocol mode` of each; None if one of them is not plain enough to tell."""
    found = set()
    for port in ports:
        if isinstance(port, Mapping):
            published, target = port.get("published") or 0, port.get("target")
            found.add(f"{published}:{target}/{port.get('protocol') or 'tcp'} {port.get('mode') or 'ingress'}")
        elif short := re.fullmatch(r"(?:(\d+):)?(\d+)(?:/(\w+))?", str(port)):
            found.add(f"{short[1] or 0}:{short[2]}/{short[3] or 'tcp'} ingress")
        else:
            return None
    return sorted(found)


def _plain(value: object) -> str | None:
    """A value that is sent as it stands; None for those that the deploy tool formats."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1_000_000 else None


def _list(value: object) -> list[str] | None:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return None
    return [str(item) for item in value]


def _ns(value: object) -> int | None:
    """A duration of the tool's kind (`1m30s`) in ns."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", str(value))
    if not isinstance(value, str) or not parts or "".join(map("".join, parts)) != value:
        return None
    return int(sum((Fraction(number) * _SECONDS[unit] for number, unit in parts), Fraction(0)) * _NS)


def _ratio(value: object) -> float | None:
    """As the Engine keeps it, in 32 bits."""
    found: float | None = struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, int | float) else None
    return found


def _nano(value: object) -> int | None:
    return int(Fraction(str(value)) * _NS) if re.fullmatch(r"\d+(\.\d+)?", str(value)) else None


def _size(value: object) -> int | None:
    found = re.fullmatch(r"(\d+)([kmg]?)b?", str(value).lower())
    return int(found[1]) * _BYTES[found[2]] if found else None
