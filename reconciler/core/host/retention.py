"""Which images may go when the disk is full: dangling and old ones that nothing needs. Pure.

Marks before it sweeps: what is needed is collected first, and an image is removed only if it is surely not among it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.observed import Inventory, StoredImage


@dataclass(frozen=True, kw_only=True)
class Removal:
    """An image that may go, its size in bytes, and why."""

    id: str
    references: tuple[str, ...]
    size: int
    why: str


def removable(
    inventory: Inventory, needed: Sequence[str], ours: Iterable[str], min_age: timedelta, now: datetime
) -> tuple[Removal, ...]:
    """Choose what may go, largest first.

    `needed`: references of known-good, fallbacks and work under way; none at all means that nothing is known, and
    nothing is removed. `ours`: names and digests that our apps' releases had; of all others only dangling images go.
    """
    # An empty list is far more often a read that went wrong than a host that needs nothing (I21).
    if not needed or not inventory.images:
        return ()
    keep = {key for reference in needed for key in keys(reference)}
    known = {key for reference in ours for key in keys(reference)}
    found = []
    for image in inventory.images:
        why = _why(image, known)
        if why and not image.used and not _is_kept(image, keep) and now - image.tagged_at >= min_age:
            found.append(Removal(id=image.id, references=image.references, size=image.size, why=why))
    return tuple(sorted(found, key=lambda removal: (-removal.size, removal.id)))


def _why(image: StoredImage, ours: set[str]) -> str:
    if not image.references:
        return "dangling"
    tags = [reference for reference in image.references if "@" not in reference]
    # One foreign name is enough to leave it alone: another program may count on it.
    if all(tag in ours for tag in tags) and any(keys(reference) & ours for reference in image.references):
        return "an older release of an app of ours"
    return ""


def _is_kept(image: StoredImage, keep: set[str]) -> bool:
    return image.id in keep or any(key in keep for reference in image.references for key in keys(reference))


def keys(reference: str) -> set[str]:
    """What identifies an image: its digest if it has one, else its name with the tag."""
    # The digest alone: one image has a digest under each of its names, and they must all count as the same.
    digest = reference.partition("@")[2]
    return {digest} if digest else {reference}
