"""The forms that a compose document may say one thing in, brought into one. Pure.

Before files are merged (`merge`): a list laid over a mapping of the same key would replace it instead of adding to it.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from reconciler.model.base import Json

_PAIRS = (("environment",), ("labels",), ("sysctls",), ("deploy", "labels"))
_SECTIONS = ("networks", "volumes", "configs", "secrets")
_PORT = re.compile(r"(?:(?:(?:\[[^]]*\]|[^:]*):)?(?:(\d+)(?:-(\d+))?)?:)?(\d+)(?:-(\d+))?(?:/(\w+))?", re.ASCII)
_MOST_PORTS = 1000


def normalize(document: Mapping[str, object]) -> Json:
    """Bring a document's lists of pairs into mappings. A pair without a value gets None."""
    result: Json = dict(document)
    services = document.get("services")
    if isinstance(services, Mapping):
        result["services"] = {name: _service(body) for name, body in services.items()}
    for section in _SECTIONS:
        bodies = document.get(section)
        if isinstance(bodies, Mapping):
            result[section] = {name: _map(body, ("labels",)) for name, body in bodies.items()}
    return result


def _service(body: object) -> object:
    for place in _PAIRS:
        body = _map(body, place)
    if isinstance(body, Mapping) and isinstance(body.get("networks"), list):
        body = {**body, "networks": {str(name): None for name in body["networks"]}}
    return body


def _map(body: object, place: tuple[str, ...]) -> object:
    if not isinstance(body, Mapping) or place[0] not in body:
        return body
    inner = body[place[0]]
    if len(place) > 1:
        return {**body, place[0]: _map(inner, place[1:])}
    if not isinstance(inner, list):
        return body
    pairs = (str(item).partition("=") for item in inner)
    # `NAME` without `=` is not an empty value: it is filled in from the variables, or left out.
    return {**body, place[0]: {name: (text if equals else None) for name, equals, text in pairs}}


def fill_environment(document: Json, env: Mapping[str, str]) -> Json:
    """Give variables of services without a value, or with an empty one, their value from ours, as Docker does."""
    return _change_environments(
        document,
        lambda given: {
            name: env.get(str(name), value) if value in _NOTHING else value for name, value in given.items()
        },
    )


_NOTHING = (None, "")


def drop_unset(document: Json) -> Json:
    """Leave out variables of services without a value: the deploy tool would look for one among the daemon's own."""
    return _change_environments(
        document, lambda given: {name: value for name, value in given.items() if value is not None}
    )


def _change_environments(document: Json, change: Callable[[Mapping[str, object]], Json]) -> Json:
    services = document.get("services")
    if not isinstance(services, Mapping):
        return document
    changed: Json = dict(services)
    for name, service in services.items():
        given = service.get("environment") if isinstance(service, Mapping) else None
        if isinstance(given, Mapping):
            changed[name] = {**service, "environment": change(given)}
    return {**document, "services": changed}


def expand_ports(entry: object) -> list[object]:
    """The long forms of a short port; one that cannot be read, and a long one, stays as it is."""
    if isinstance(entry, Mapping | bool):
        return [entry]
    found = _PORT.fullmatch(str(entry))
    return list(_expand(found)) or [entry] if found else [entry]


def _expand(found: re.Match[str]) -> Iterator[Json]:
    first, last, target, end, protocol = found.groups()
    targets = range(int(target), int(end or target) + 1)
    published = range(int(first), int(last or first) + 1) if first else range(0)
    if len(targets) > _MOST_PORTS or len(published) > _MOST_PORTS:
        return
    base: Json = {"mode": "ingress", "protocol": (protocol or "tcp").lower()}
    if not first:
        yield from ({**base, "target": port} for port in targets)
    elif len(targets) == 1:
        yield from ({**base, "target": targets[0], "published": port} for port in published)
    elif len(targets) == len(published):
        yield from ({**base, "target": one, "published": two} for one, two in zip(targets, published, strict=True))


def list_hosts(value: object) -> object:
    """`extra_hosts` as a list of `NAME:ADDRESS`."""
    if isinstance(value, Mapping):
        return [f"{name}:{address}" for name, address in sorted(value.items()) if address is not None]
    if isinstance(value, list):
        return [re.sub(r"[=:]", ":", str(item), count=1) if "=" in str(item) else item for item in value]
    return value
