"""Every image of the engine with what refers to it, and its removal without force. Effects: the engine."""

from collections.abc import Sequence
from datetime import UTC, datetime

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.core.host import retention
from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.model.observed import Inventory, StoredImage

_NONE = "<none>"


def observe(client: SwarmClient) -> Inventory:
    """Images used by a container in any state, or named by a service now or before its last update, are `used`.

    Raises:
        ObserveError: one of the reads failed, so nothing is known.
    """
    listed = client.read("images", "images")
    containers = client.read("containers", "containers", all=True)
    services = client.read("services", "services")
    # By id for containers, by every spelling of the name for services: a service says what was asked for, not
    # what runs.
    by_id = {raw.get("ImageID", "") for raw in containers}
    by_name = {key for raw in services for name in _images_of(raw) for key in retention.keys(name)}
    found = []
    for raw in listed:
        details = client.find(f"image {raw['Id'][:19]}", "inspect_image", raw["Id"])
        if details is not None:
            found.append(_stored(raw, details, by_id, by_name))
    return Inventory(images=tuple(found))


def _images_of(service: Json) -> list[str]:
    # The one before as well: Swarm rolls back to it by itself if an update fails.
    specs = [service.get("Spec") or {}, service.get("PreviousSpec") or {}]
    contents = [(spec.get("TaskTemplate") or {}).get("ContainerSpec") or {} for spec in specs]
    return [content["Image"] for content in contents if content.get("Image")]


def _stored(raw: Json, details: Json, by_id: set[str], by_name: set[str]) -> StoredImage:
    references = _names(raw)
    keys = {raw["Id"], *(key for name in references for key in retention.keys(name))}
    return StoredImage(
        id=raw["Id"],
        references=references,
        size=int(raw.get("Size") or 0),
        tagged_at=_tagged_at(details),
        used=raw["Id"] in by_id or bool(keys & by_name),
    )


def _tagged_at(details: Json) -> datetime:
    """When it came here; the build time for one that never got a name here."""
    tagged = str((details.get("Metadata") or {}).get("LastTagTime") or "")
    text = details.get("Created", "") if not tagged or tagged.startswith("0001") else tagged
    return parse.instant(text) if text else datetime.now(UTC)


def _names(raw: Json) -> tuple[str, ...]:
    names = [*(raw.get("RepoTags") or []), *(raw.get("RepoDigests") or [])]
    return tuple(name for name in names if _NONE not in name)


def remove(client: SwarmClient, image_id: str, references: Sequence[str]) -> bool:
    """Remove an image without force; False if it is used or has got other names.

    The engine itself refuses what a container uses.
    """
    try:
        # All names of one image go together; without force the engine removes one only if nothing uses it.
        details = client.find("image", "inspect_image", image_id)
        if details is None:
            return True
        names = _names(details)
        # It got another name since the inventory: a `docker tag` may have made it wanted.
        if set(names) != set(references):
            return False
        for name in names or [image_id]:
            client.write(f"remove image {name}", "remove_image", name, force=False, noprune=False)
    except ActError as exc:
        if exc.host_fault:
            raise
        return False
    return True
