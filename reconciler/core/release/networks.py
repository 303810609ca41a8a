"""Is a network, or a volume, what the release says? Swarm never changes one that exists. Pure.

Only what was sent is compared, and only in fields of which it is known what the engine makes of them (docs/adr/0016): a
network that is taken for another one would be a false rollback.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.core.release import compose
from reconciler.model.base import Json
from reconciler.model.observed import NetworkObs, VolumeObs

_STACK = "com.docker.stack.namespace"
_ENCRYPTED = "encrypted"
_MTU = "com.docker.network.driver.mtu"
_OWN_OPTIONS = (_ENCRYPTED, _MTU)
"""Options that only a release sets; the engine adds others, such as the list of VXLAN ids."""


def find_changed(doc: Mapping[str, object], stack: str, here: Sequence[NetworkObs]) -> dict[str, str]:
    """Engine name -> how a network of the stack that is there differs from what the release says; {}: none does."""
    by_name = {network.name: network for network in here}
    found = {}
    for key, body in compose.section(doc, "networks").items():
        if body.get("external"):
            continue
        name = str(body.get("name") or f"{stack}_{key}")
        there = by_name.get(name)
        differences = list(_compare(body, there)) if there is not None else []
        if differences:
            found[name] = f"network {key}: {', '.join(differences)}"
    return found


def _compare(body: Json, there: NetworkObs) -> Iterator[str]:
    driver = str(body.get("driver") or "")
    if driver and there.driver and driver != there.driver:
        yield f"driver is {there.driver}, sent {driver}"
    for key, have in (("attachable", there.attachable), ("internal", there.internal)):
        if bool(body.get(key)) is not have:
            yield f"{key} is {_tell(have)}, sent {_tell(bool(body.get(key)))}"
    yield from _compare_options(body.get("driver_opts") or {}, there.options)
    yield from _compare_subnets(body, there)
    # Our own labels say whose a network is, and not what it is: one that was adopted has none.
    labels = {k: _text(v) for k, v in (body.get("labels") or {}).items() if not str(k).startswith("ci-warm.")}
    for key, value in sorted(labels.items()):
        if there.labels.get(key) != value:
            yield f"label {key} is {there.labels.get(key)!r}, sent {value!r}"


def _compare_options(sent: Json, here: Mapping[str, str]) -> Iterator[str]:
    for key, value in sorted(sent.items()):
        if here.get(str(key)) != _text(value):
            yield f"option {key} is {here.get(str(key), 'absent')!r}, sent {_text(value)!r}"
    for key in _OWN_OPTIONS:
        if key in here and key not in sent:
            yield f"option {key} is set, not sent"


def _compare_subnets(body: Json, there: NetworkObs) -> Iterator[str]:
    """Subnets that were asked for; without a wish the engine chooses one, and may have chosen any."""
    config = (body.get("ipam") or {}).get("config") or ()
    sent = {_subnet(str(item.get("subnet"))) for item in config if item.get("subnet")}
    here = {_subnet(text) for text in there.subnets}
    # The engine may add a subnet of the other address family, which nothing asked for.
    if sent and here and not sent <= here:
        yield f"subnet is {', '.join(sorted(here))}, sent {', '.join(sorted(sent))}"


def find_changed_volumes(doc: Mapping[str, object], stack: str, here: Iterable[VolumeObs]) -> Iterator[str]:
    """Volumes that the stack made with other options than the release says: Swarm leaves those as they are, too."""
    by_name = {volume.name: volume for volume in here if volume.labels.get(_STACK) == stack}
    for key, body in compose.section(doc, "volumes").items():
        there = by_name.get(str(body.get("name") or f"{stack}_{key}"))
        sent = {str(name): _text(value) for name, value in (body.get("driver_opts") or {}).items()}
        # Without a declaration of its own a volume is whatever it is; the embedded engine knows no options.
        if there is None or body.get("external") or there.driver == "embedded":
            continue
        differences = [name for name, value in sorted(sent.items()) if there.options.get(name) != value]
        if differences:
            yield f"volume {key}: exists with other options than the release says ({', '.join(differences)})"


def _subnet(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tell(value: bool) -> str:
    return "true" if value else "false"
