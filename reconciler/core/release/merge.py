"""Compose documents laid over each other as Docker's loader does it, key by key. Pure.

`tests/rendering` holds it to `docker stack config` over generated documents. Where Docker would lose what no overlay
speaks of, or make what it refuses itself, ours is another on purpose: docs/specs.md lists it.
"""

import re
from collections.abc import Mapping, Sequence

from reconciler.core.release import forms, merge_services
from reconciler.core.release.compose import ComposeError
from reconciler.model.base import Json

_SECTIONS = ("services", "volumes", "networks", "configs", "secrets")


def merge(documents: Sequence[Mapping[str, object]]) -> Json:
    """Lay documents over each other, later ones winning.

    Raises:
        ComposeError: no services, or a section of the wrong type.
    """
    merged: Json = {}
    for document in documents:
        merged = _merge_documents(merged, forms.normalize(document))
    for section in _SECTIONS:
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


def _merge_documents(base: Json, over: Json) -> Json:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if value is None and key in result:
            continue  # an empty key in an overlay takes nothing away
        if key == "version" and key in result:
            result[key] = max(below, value, key=_version)
        elif key in _SECTIONS and isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merge_section(key, below, value)
        else:
            result[key] = value
    return result


def _version(value: object) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", str(value)))


def _merge_section(section: str, base: Mapping[str, object], over: Mapping[str, object]) -> Json:
    result: Json = dict(base)
    for name, body in over.items():
        below = result.get(name)
        if section == "services" and isinstance(below, Mapping) and isinstance(body, Mapping):
            result[name] = merge_services.merge(below, body)
        # A network or volume is replaced by the later definition, as a whole.
        elif not merge_services.is_empty(body) or name not in result:
            result[name] = body
    return result
