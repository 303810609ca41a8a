"""Compose documents: merged as the compose format says, read for what the gate and the engines need. Pure.

A document is plain JSON data. Everything that acts works on the one merged document, so that the gate judges
exactly what is deployed.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciler.model.base import Json

_REPLACED = frozenset({"command", "entrypoint", "test"})
_BY_TARGET = frozenset({"volumes", "ports"})
_BY_SOURCE = frozenset({"configs", "secrets"})
_MAP_LISTS = frozenset({"environment", "labels", "sysctls"})


class ComposeError(ValueError):
    """A compose document that cannot be used; the text names the place."""


def merge(documents: Sequence[Mapping[str, object]]) -> Json:
    """Lay documents over each other, later ones winning.

    Raises:
        ComposeError: no services, or a section of the wrong type.
    """
    merged: Json = {}
    for document in documents:
        # Brought into one form first: a list laid over a mapping of the same key would replace it instead of
        # adding to it.
        merged = _merge_maps(merged, {key: _normal(key, value) for key, value in document.items()})
    for section in ("services", "volumes", "networks", "configs", "secrets"):
        body = merged.setdefault(section, {}) or {}
        if not isinstance(body, dict):
            raise ComposeError(f"{section}: must be a mapping")
        # `volumes: {data: }` is how compose writes "with all defaults"; after this a body is always a
        # mapping.
        merged[section] = {name: item if item is not None else {} for name, item in body.items()}
        for name, item in merged[section].items():
            if not isinstance(item, dict):
                raise ComposeError(f"{section}.{name}: must be a mapping")
    if not merged["services"]:
        raise ComposeError("services: there are none")
    if "include" in merged:
        raise ComposeError("include: is not supported in a stack")
    for name, service in merged["services"].items():
        _check_shape(name, service)
    return merged


_SHAPES: dict[str, tuple[type, ...]] = {
    "environment": (dict,),
    "labels": (dict,),
    "deploy": (dict,),
    "healthcheck": (dict,),
    "networks": (dict,),
    "volumes": (list,),
    "ports": (list,),
    "configs": (list,),
    "secrets": (list,),
    "image": (str,),
}


def _check_shape(name: str, service: Json) -> None:
    """Refuse now what the deploy tool would refuse when the app is already down."""
    for key, kinds in _SHAPES.items():
        if service.get(key) is not None and not isinstance(service[key], kinds):
            raise ComposeError(f"services.{name}.{key}: must be a {'mapping' if dict in kinds else kinds[0].__name__}")
    for key in ("labels", "update_config", "restart_policy", "resources", "placement"):
        body = (service.get("deploy") or {}).get(key)
        if body is not None and not isinstance(body, dict):
            raise ComposeError(f"services.{name}.deploy.{key}: must be a mapping")


def _normal(key: str, value: object) -> object:
    """Bring environment-like lists into mapping form, at every depth."""
    if key == "networks" and isinstance(value, list):
        return {str(item): None for item in value}
    if key in _MAP_LISTS and isinstance(value, list):
        pairs = (str(item).partition("=") for item in value)
        # `NAME` without `=` is not an empty value: it is filled in from the variables, or left out.
        return {name: (text if sep else None) for name, sep, text in pairs}
    if isinstance(value, Mapping):
        return {name: _normal(str(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_normal("", item) for item in value]
    return value


def _merge_maps(base: Json, over: Mapping[str, object]) -> Json:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if value is None and key in result:
            continue  # an empty key in an overlay takes nothing away
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merge_maps(dict(below), value)
        elif isinstance(below, list) and isinstance(value, list) and key not in _REPLACED:
            result[key] = _merge_lists(key, below, value)
        else:
            result[key] = value
    return result


def _merge_lists(key: str, base: list[object], over: list[object]) -> list[object]:
    if key in _BY_TARGET | _BY_SOURCE:
        # Two entries with one target are one thing, and the later file means to replace it.
        slots = {_slot(key, item): item for item in (*base, *over)}
        return list(slots.values())
    return base + [item for item in over if item not in base]


def _slot(key: str, item: object) -> str:
    if key == "ports":
        return _port_slot(item)
    if isinstance(item, Mapping):
        return str(item.get("target") or item.get("source"))
    parts = str(item).split(":")
    if key == "volumes":
        return parts[1] if len(parts) > 1 else parts[0]
    return str(item)


def _port_slot(item: object) -> str:
    """One published port per protocol and mode, as the engine has it; an unpublished one stands for itself."""
    if isinstance(item, Mapping):
        published, protocol, mode = item.get("published"), item.get("protocol", "tcp"), item.get("mode", "ingress")
        return f"{published or item.get('target')}/{protocol}/{mode}"
    text, _, protocol = str(item).partition("/")
    published = text.rpartition(":")[0].rpartition(":")[2] or text
    return f"{published}/{protocol or 'tcp'}/ingress"


def host_ports(doc: Mapping[str, object]) -> frozenset[int]:
    """Ports of the node itself that the services publish; only the long form can ask for them."""
    items = [item for service in services(doc).values() for item in service.get("ports") or ()]
    found = (str(i.get("published")) for i in items if isinstance(i, Mapping) and i.get("mode") == "host")
    return frozenset(int(port) for port in found if port.isdigit())


def images(doc: Mapping[str, object]) -> dict[str, str]:
    """Service -> image as asked.

    Raises:
        ComposeError: a service without an image.
    """
    found: dict[str, str] = {}
    for name, service in services(doc).items():
        image = service.get("image")
        if not isinstance(image, str) or not image:
            raise ComposeError(f"services.{name}.image: is missing")
        found[name] = image
    return found


def restart_condition(service: Json) -> str:
    """When Swarm starts a task of it again: none, on-failure or any; jobs are started until they completed."""
    deploy = service.get("deploy") or {}
    if str(deploy.get("mode", "")).endswith("-job"):
        return "on-failure"
    policy = deploy.get("restart_policy")
    if policy:
        return str(policy.get("condition") or "any")
    # The deploy tool reads Compose's own key where there is no policy.
    given = str(service.get("restart") or "any").partition(":")[0]
    return {"no": "none", "False": "none", "on-failure": "on-failure"}.get(given, "any")


def services(doc: Mapping[str, object]) -> Mapping[str, Json]:
    """The services section."""
    section = doc.get("services")
    return section if isinstance(section, dict) else {}


def section(doc: Mapping[str, object], name: str) -> Mapping[str, Json]:
    """A top-level section of named mappings, {} if absent."""
    body = doc.get(name)
    return body if isinstance(body, dict) else {}


class Mount(NamedTuple):
    """One entry of a service's `volumes`; `kind` is volume, bind, tmpfs ...; `source` is '' where none is given."""

    kind: str
    source: str
    target: str
    read_only: bool = False


def list_mounts(service: Mapping[str, object]) -> list[Mount]:
    """What a service mounts, whichever way it is written.

    Raises:
        ComposeError: a one-letter volume name (the engine reads it as a Windows drive).
    """
    found: list[Mount] = []
    entries = service.get("volumes") or []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping):
            kind, source, target = (str(entry.get(key) or "") for key in ("type", "source", "target"))
            found.append(Mount(kind or "volume", source, target, bool(entry.get("read_only"))))
            continue
        source, target, options = _split_mount(str(entry))
        # Found here, because the engine's own message speaks of Windows paths and comes when the app is down.
        if len(source) == 1 and source.isalpha():
            raise ComposeError(f"volume {source!r}: a one-letter name is read as a Windows path; rename it")
        kind = "bind" if source[:1] in ("/", ".", "~") else "volume"
        found.append(Mount(kind, source, target, "ro" in options.split(",")))
    return found


def _split_mount(text: str) -> tuple[str, str, str]:
    """Source, target and options of the short form: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`."""
    parts = text.split(":")
    return ("", parts[0], "") if len(parts) == 1 else (parts[0], parts[1], ":".join(parts[2:]))


def volume_names(doc: Mapping[str, object], stack: str) -> tuple[dict[str, str], tuple[str, ...], dict[str, str]]:
    """(key -> engine name, external engine names, key -> why its data cannot be kept) of all named volumes in use.

    Raises:
        ComposeError: a service mounts a volume that the document does not declare.
    """
    declared = section(doc, "volumes")
    names: dict[str, str] = {}
    external: list[str] = []
    options: dict[str, str] = {}
    used = [
        (service, mount.source)
        for service, body in services(doc).items()
        for mount in list_mounts(body)
        if mount.kind == "volume" and mount.source
    ]
    for service, key in used:
        if key not in declared:
            raise ComposeError(f"services.{service}.volumes: volume {key!r} is not declared under 'volumes'")
        body = declared[key]
        outside = body.get("external")
        given = _given_name(body)
        # The rule of `docker stack deploy`: a name that the document gives, and the key of an external one,
        # stand as they are.
        names[key] = str(given) if given else (key if outside else f"{stack}_{key}")
        if outside:
            external.append(names[key])
        if body.get("driver", "local") != "local" or body.get("driver_opts"):
            options[key] = f"driver {body.get('driver', 'local')} with options {sorted(body.get('driver_opts') or {})}"
    return dict(sorted(names.items())), tuple(sorted(set(external))), options


def policy(doc: Mapping[str, object]) -> list[tuple[str, str]]:
    """What the default policy forbids: (allowance that would permit it, where it stands)."""
    # All of it, not the first: the operator decides once about everything that the release asks for.
    found: list[tuple[str, str]] = []
    for name, service in sorted(services(doc).items()):
        found += _find_risks(f"services.{name}", service)
    for name, volume in sorted(section(doc, "volumes").items()):
        # A driver option can name any path of the host (`type: none, o: bind`), which is a host mount in disguise.
        if not _is_harmless(volume.get("driver_opts") or {}):
            found.append(("host-mounts", f"volumes.{name}.driver_opts"))
    for name, network in sorted(section(doc, "networks").items()):
        # `external: {name: host}` brings the host's own network under any key.
        if network.get("external") and (_given_name(network) or name) == "host":
            found.append(("host-network", f"networks.{name}"))
    return found


_HARMLESS_TYPES = ("tmpfs", "nfs", "nfs4", "cifs")
_HOST_NAMESPACES = ("pid", "ipc", "userns_mode")
_ROOT_KEYS = {"privileged": "privileged", "cap_add": "capabilities", "devices": "devices"}


def _find_risks(where: str, service: Json) -> list[tuple[str, str]]:
    """What one service asks for that makes it more than a container."""
    found = [(allowance, f"{where}.{key}") for key, allowance in _ROOT_KEYS.items() if service.get(key)]
    if service.get("network_mode") == "host" or "host" in (service.get("networks") or ()):
        found.append(("host-network", f"{where}.networks"))
    found += [("host-network", f"{where}.{key}") for key in _HOST_NAMESPACES if service.get(key) == "host"]
    for mount in list_mounts(service):
        if mount.kind in ("bind", "npipe"):
            # The socket is root on the host, whatever else is mounted; a directory that holds it is a host mount.
            allowance = "docker-socket" if mount.source.rstrip("/").endswith("docker.sock") else "host-mounts"
            found.append((allowance, f"{where}.volumes: {mount.source}:{mount.target}"))
    return found


def _is_harmless(options: object) -> bool:
    if not options:
        return True
    return isinstance(options, Mapping) and str(options.get("type", "tmpfs")) in _HARMLESS_TYPES


def _given_name(body: Json) -> object:
    """The engine's own name of a volume, network, secret or config, in both forms that compose has had."""
    outside = body.get("external")
    return body.get("name") or (outside.get("name") if isinstance(outside, Mapping) else None)


def foreign(doc: Mapping[str, object], stack: str) -> list[tuple[str, str]]:
    """External or named volumes, secrets and configs outside the stack's own names: they may be another app's."""
    found: list[tuple[str, str]] = []
    for kind in ("volumes", "secrets", "configs"):
        for key, body in sorted(section(doc, kind).items()):
            outside = body.get("external")
            given = _given_name(body)
            name = str(given or (key if outside else f"{stack}_{key}"))
            # By the name on the engine, whatever the key is: a volume that is called like another app's is
            # that app's data.
            if not name.startswith(f"{stack}_"):
                found.append(("foreign-objects", f"{kind}.{key}: {name}"))
    return found
