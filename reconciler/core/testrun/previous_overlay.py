"""`COMPOSE_FILE` as data, and `previous/`: what only the old version needs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

PREVIOUS_FILE = "compose.previous.yml"
TARGET_FILE = "VERSION"


def add(value: str, name: str) -> str:
    """`COMPOSE_FILE` with one more entry, at the end; a doubled one is not added. Empty stands for compose.yml."""
    names = [entry for entry in (value or "compose.yml").split(":") if entry]
    return ":".join([*names, *([name] if name not in names else [])])


def remove(value: str, name: str) -> str:
    """`COMPOSE_FILE` without an entry; what is left of nothing is compose.yml."""
    names = [entry for entry in value.split(":") if entry and entry != name]
    return ":".join(names) or "compose.yml"


@dataclass(frozen=True, kw_only=True)
class Previous:
    """What a recipe keeps for its old version. `files`: by the name they get in the recipe; `note`: to be told."""

    files: Mapping[str, bytes]
    note: str = ""

    @property
    def applies(self) -> bool:
        """Whether the base gets it."""
        return bool(self.files)


NOTHING = Previous(files={})


def previous(head: Mapping[str, bytes], folder: str, base: str) -> Previous:
    """Find `previous/` in the head's files and say whether it is for this base.

    It names its target version in `VERSION`; for another version it is stale: not applied, and told.
    """
    inside = {path.removeprefix(f"{folder}/"): body for path, body in head.items() if path.startswith(f"{folder}/")}
    if not inside:
        return NOTHING
    target = inside.pop(TARGET_FILE, b"").decode("utf-8", "replace").strip()
    if not target:
        return Previous(files={}, note=f"{folder}/{TARGET_FILE} does not name a version: not applied")
    # A forgotten folder would change a base that it was never written for.
    if target != base:
        return Previous(files={}, note=f"stale: {folder} is for {target}, the base is {base}: not applied")
    if PREVIOUS_FILE not in inside:
        return Previous(files={}, note=f"{folder}/{PREVIOUS_FILE} is missing: not applied")
    return Previous(files=inside, note=f"{folder} for {target} was applied to the base alone")
