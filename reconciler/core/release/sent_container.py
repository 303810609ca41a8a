"""What a service gives its containers beside image, environment and data, in the engine's terms. Pure.

Called by `sent`. A field in a form of which we are not sure is None, and is not compared.
"""

import re
from collections.abc import Mapping

from reconciler.model.base import Json

_WORDS = re.compile(r"[\w./:=@%+,-]+( [\w./:=@%+,-]+)*", re.ASCII)
"""Text that any shell splits in the same way: no quotes, no variables, one space between words."""


def describe(service: Json) -> dict[str, object]:
    """Capabilities, ulimits, name servers, hosts, sysctls and logging of one service."""
    logging = service.get("logging") or {}
    driver = logging.get("driver")
    options = {str(key): _text(value) for key, value in (logging.get("options") or {}).items()}
    added, dropped = _capabilities(service.get("cap_add")), _capabilities(service.get("cap_drop"))
    # Of one that stands in both, and beside ALL, the tool makes something of its own.
    plain = added is not None and dropped is not None and not set(added) & set(dropped)
    return {
        "cap_add": added if plain else None,
        "cap_drop": dropped if plain else None,
        "ulimits": _ulimits(service.get("ulimits") or {}),
        "dns": _texts(service.get("dns")),
        "dns_search": _texts(service.get("dns_search")),
        "extra_hosts": _hosts(service.get("extra_hosts") or ()),
        "sysctls": _pairs(service.get("sysctls") or ()),
        "logging.driver": driver,
        "logging.options": options if driver else None,
    }


def split_words(value: object) -> list[str] | None:
    """A command as the list that the engine gets; None for text that is not split at single spaces alone."""
    if isinstance(value, str):
        return value.split(" ") if _WORDS.fullmatch(value) else None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return None
    return [str(item) for item in value]


def _capabilities(value: object) -> list[str] | None:
    names = {str(name).upper() for name in value} if isinstance(value, list) else set()
    if "RESET" in names or ("ALL" in names and len(names) > 1):
        return None
    return sorted(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in names)


def _ulimits(value: Json) -> list[str] | None:
    found = []
    for name, limit in value.items():
        soft, hard = (limit.get("soft"), limit.get("hard")) if isinstance(limit, Mapping) else (limit, limit)
        if not isinstance(soft, int) or not isinstance(hard, int):
            return None
        found.append(f"{name} {soft}:{hard}")
    return sorted(found)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []


def _hosts(value: object) -> list[str] | None:
    """`ADDRESS NAME` of each."""
    pairs = _pairs(value)
    if pairs is None:
        return None
    # With an address of IPv6 among them each version of the tool makes something else of the list.
    if any(":" in str(address) for address in pairs.values()):
        return None
    return sorted(f"{address} {name}" for name, address in pairs.items())


def _pairs(value: object) -> dict[str, str | None] | None:
    if isinstance(value, Mapping):
        return {str(key): _text(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for item in value if isinstance(value, list | tuple) else ():
        name, sign, rest = re.split(r"([:=])", str(item), maxsplit=1) if re.search("[:=]", str(item)) else ("", "", "")
        if not sign or name in found:
            return None
        found[name] = rest
    return found


def _text(value: object) -> str | None:
    """A value that is sent as it stands; None for those that the deploy tool formats."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)
