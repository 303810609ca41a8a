"""Compose documents: read for what the gate and the engines need. Pure.

A document is plain JSON data. Everything that acts works on the one merged document (`merge`), so that the gate judges
exactly what is deployed.
"""

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.model.base import Json


class ComposeError(ValueError):
    """A compose document that cannot be used; the text names the place."""


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
        # Of both the last one counts, as with Docker.
        access = [option for option in options.split(",") if option in ("ro", "rw")]
        found.append(Mount(kind, source, target, access[-1:] == ["ro"]))
    return found


def check_sources(doc: Mapping[str, object]) -> None:
    """See that every path of the host is a whole one.

    The deploy tool would take another from its own folder or home, and ours is there only while it works.

    Raises:
        ComposeError: one is not.
    """
    for name, service in services(doc).items():
        for mount in list_mounts(service):
            if mount.kind == "bind" and not mount.source.startswith("/"):
                says = f"bind mount {mount.source!r}: write the whole path on the host, or make it a config"
                raise ComposeError(f"services.{name}.volumes: {says}")


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
        names[key] = engine_name(key, body, stack)
        if body.get("external"):
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
        if network.get("external") and engine_name(name, network, "") == "host":
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


def engine_name(key: str, body: Json, stack: str) -> str:
    """The engine's own name of a volume, network, secret or config, in both forms that compose has had.

    By the rule of `docker stack deploy` a name that is given, and the key of what is external, stand as they are.
    """
    outside = body.get("external")
    given = body.get("name") or (outside.get("name") if isinstance(outside, Mapping) else None)
    return str(given or (key if outside else f"{stack}_{key}"))


def foreign(doc: Mapping[str, object], stack: str) -> list[tuple[str, str]]:
    """External or named volumes, secrets and configs outside the stack's own names: they may be another app's."""
    found: list[tuple[str, str]] = []
    for kind in ("volumes", "secrets", "configs"):
        for key, body in sorted(section(doc, kind).items()):
            name = engine_name(key, body, stack)
            # By the name on the engine, whatever the key is: a volume that is called like another app's is
            # that app's data.
            if not name.startswith(f"{stack}_"):
                found.append(("foreign-objects", f"{kind}.{key}: {name}"))
    return found
