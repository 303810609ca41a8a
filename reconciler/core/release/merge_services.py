"""One service of a compose document laid over another, each key in its own way. Pure.

Called by `merge`, which says what this is held to.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping

from reconciler.core.release import forms
from reconciler.core.release.compose import ComposeError
from reconciler.model.base import Json

Place = tuple[str, ...]
"""Keys within a service."""
Merge = Callable[[object, object], object]

_COUNTS: frozenset[Place] = frozenset(
    {
        ("deploy", "replicas"),
        ("deploy", "restart_policy", "max_attempts"),
        ("deploy", "rollback_config", "parallelism"),
        ("deploy", "update_config", "parallelism"),
        ("healthcheck", "retries"),
    }
)
"""Where 0 is a value; anywhere else an empty one in an overlay says nothing."""
_AMOUNTS = frozenset(
    {
        *("delay", "interval", "monitor", "start_interval", "start_period", "stop_grace_period", "timeout", "window"),
        "memory",
    }
)
_SOME = re.compile(r"[1-9]")
_MOST_PORTS = 10_000
"""Of one service, in all: a few short ones could name millions."""


def merge(base: Mapping[str, object], over: Mapping[str, object]) -> Json:
    """Lay what an overlay says of a service over what is there.

    Raises:
        ComposeError: ports without end.
    """
    result = _merge_maps(base, over, ())
    # Docker goes over the mounts of every service that an overlay names, also where it says nothing of them.
    if isinstance(mounts := result.get("volumes"), list):
        result["volumes"] = list({_target(entry): entry for entry in mounts}.values())
    return result


def _merge_maps(base: Mapping[str, object], over: Mapping[str, object], at: Place) -> Json:
    result = dict(base)
    for key, value in over.items():
        place = (*at, str(key))
        below = result.get(key)
        if below is None:
            result[key] = value
        elif not _says_nothing(place, value):
            result[key] = _MERGES[place](below, value) if place in _MERGES else _merge_values(below, value, place)
    return result


def _says_nothing(place: Place, value: object) -> bool:
    if place in _COUNTS and value is not None:
        return False
    return is_empty(value) or (place[-1] in _AMOUNTS and "0" in str(value) and _SOME.search(str(value)) is None)


def is_empty(value: object) -> bool:
    """Say whether a value in an overlay says nothing."""
    return value is None or value in ("", 0, False) or (isinstance(value, Mapping | list) and not value)


def _merge_values(below: object, value: object, place: Place) -> object:
    if isinstance(below, Mapping) and isinstance(value, Mapping):
        return _merge_maps(below, value, place)
    if isinstance(below, list) and isinstance(value, list):
        return _append(below, value)
    return value


def _append(below: Iterable[object], value: Iterable[object]) -> list[object]:
    """One list after the other, without what would be there twice: the deploy tool refuses that in one file."""
    result = list(below)
    # By their text: of two long lists each pair would be compared.
    seen = {repr(item) for item in result}
    for item in value:
        if repr(item) not in seen:
            seen.add(repr(item))
            result.append(item)
    return result


def _replace(_below: object, value: object) -> object:
    return value


def _update(below: object, value: object) -> object:
    """Pairs of texts, where an empty one is a value."""
    return {**below, **value} if isinstance(below, Mapping) and isinstance(value, Mapping) else value


_UNSET = ("", None)


def _update_environment(below: object, value: object) -> object:
    """Variables, where an empty one takes no other's place."""
    if not isinstance(below, Mapping) or not isinstance(value, Mapping):
        return value
    return {**below, **{name: item for name, item in value.items() if item not in _UNSET or below.get(name) in _UNSET}}


def _append_texts(below: object, value: object) -> object:
    """Lists that may be one text."""
    return _append(*([item] if isinstance(item, str) else _entries(item) for item in (below, value)))


def _append_hosts(below: object, value: object) -> object:
    return _append(_entries(forms.list_hosts(below)), _entries(forms.list_hosts(value)))


def _entries(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _merge_logging(below: object, value: object) -> object:
    """Options belong to their driver."""
    if not isinstance(below, Mapping) or not isinstance(value, Mapping):
        return value
    if below.get("driver") and value.get("driver") and below["driver"] != value["driver"]:
        return value
    options = _update(below.get("options") or {}, value.get("options") or {})
    driver = value.get("driver") or below.get("driver")
    found = {"driver": driver, "options": options}
    return {**below, **value, **{key: item for key, item in found.items() if item}}


def _merge_networks(below: object, value: object) -> object:
    """Networks of a service; the aliases in one are those of the later file, and its options those of the first."""
    if not isinstance(below, Mapping) or not isinstance(value, Mapping):
        return value
    result: Json = dict(below)
    for name, body in value.items():
        here = result.get(name)
        if isinstance(here, Mapping) and isinstance(body, Mapping):
            addresses = {key: body[key] for key in ("ipv4_address", "ipv6_address") if body.get(key)}
            kept = {key: item for key, item in here.items() if key != "aliases"}
            aliases = {"aliases": body["aliases"]} if body.get("aliases") else {}
            result[name] = kept | addresses | aliases
        elif body is not None or name not in result:
            result[name] = body
    return result


def _merge_ports(below: object, value: object) -> object:
    """A published port is the node's, once for each protocol, whatever mode it is in; the later file has it."""
    mine, theirs = _expand(below), _expand(value)
    taken = {_port(item) for item in theirs}
    return [item for item in mine if _port(item) not in taken] + theirs


def _expand(ports: object) -> list[object]:
    found: list[object] = []
    for entry in _entries(ports):
        found += forms.expand_ports(entry)
        if len(found) > _MOST_PORTS:
            raise ComposeError(f"ports: are more than {_MOST_PORTS}")
    return found


def _port(entry: object) -> Hashable:
    if not isinstance(entry, Mapping):
        return str(entry)
    published, protocol = entry.get("published") or 0, entry.get("protocol") or "tcp"
    return str(published), str(protocol), None if published else str(entry.get("target"))


def _merge_files(below: object, value: object) -> object:
    """Configs or secrets: one of the same source, or for the same place in the container, is replaced."""
    theirs = _entries(value)
    sources, targets = {_source(item) for item in theirs}, {_file_target(item) for item in theirs}
    kept = [item for item in _entries(below) if _source(item) not in sources and _file_target(item) not in targets]
    return [*kept, *theirs]


def _source(entry: object) -> str:
    return str(entry.get("source") if isinstance(entry, Mapping) else entry)


def _file_target(entry: object) -> str:
    given = str((entry.get("target") if isinstance(entry, Mapping) else "") or "")
    return given or _source(entry)


def _merge_mounts(below: object, value: object) -> object:
    """One mount for each place in the container; the later file has it (`merge`)."""
    return [*_entries(below), *_entries(value)]


def _target(entry: object) -> str:
    if isinstance(entry, Mapping):
        return str(entry.get("target"))
    parts = str(entry).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


_MERGES: dict[Place, Merge] = {
    ("command",): _replace,
    ("configs",): _merge_files,
    ("deploy", "labels"): _update,
    ("dns",): _append_texts,
    ("dns_search",): _append_texts,
    ("entrypoint",): _replace,
    ("environment",): _update_environment,
    ("extra_hosts",): _append_hosts,
    ("healthcheck", "test"): _replace,
    ("labels",): _update,
    ("logging",): _merge_logging,
    ("networks",): _merge_networks,
    ("ports",): _merge_ports,
    ("secrets",): _merge_files,
    ("sysctls",): _update,
    ("tmpfs",): _append_texts,
    ("ulimits",): _update,
    ("volumes",): _merge_mounts,
}
