"""Which older state of a recipe an upgrade test starts from. Pure.

Override, else what was last green here, else the tip of the main branch. What equals the head tests nothing, and what
is newer would be a downgrade: the newest published version older than the head takes their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.release import versions
from reconciler.model.canonical import Green, Greens
from reconciler.model.testrun import Source

_SHARED = {"version", "commit", "kind"}


@dataclass(frozen=True, kw_only=True)
class Base:
    """Where to start, or None with the reason for skipping the upgrade."""

    source: Source | None
    reason: str


def plan(
    head: Source,
    *,
    override: Source | None,
    last_green: Green | None,
    tip: Source | None,
    tags: Mapping[str, str],
    ahead: bool = False,
) -> Base:
    """Choose the base.

    `tags`: annotated ones, peeled; `tip`: of the main branch, None without one; `ahead`: the tip came after the head.
    """
    if override is not None:
        if _same(override, head):
            return _older(head, tags, f"the base asked for, {override.name}, is the head itself")
        return Base(source=override, reason=f"asked for: {override.name}")
    found, why = tip, f"tip of {tip.name}" if tip else ""
    if last_green is not None:
        # The last green one was not judged by where main is, so `ahead`, which is about the tip, no longer
        # counts.
        found, ahead = Source(**last_green.model_dump(include=_SHARED), name="last green"), False
        why = f"last green here, run {last_green.run}"
    if found is None:
        return _older(head, tags, "nothing was green here yet and there is no main branch")
    if _same(found, head):
        return _older(head, tags, f"{why} is the head itself")
    # By ancestry first: commits of a branch may have no version that could be compared.
    if ahead or _newer(found, head):
        return _older(head, tags, f"{why} is {found.version}, newer than the head")
    return Base(source=found, reason=f"{why}: {found.version}")


def remember(greens: Greens, green: Green) -> Greens:
    """What passed, with one more. A release older than the last green one is noted and is no base for the next."""
    releases = greens.releases | ({green.version: green} if green.kind == "release" else {})
    last, new = versions.parse(greens.last.version) if greens.last else None, versions.parse(green.version)
    steps_back = last is not None and new is not None and new < last
    return greens.model_copy(update={"releases": releases, "last": greens.last if steps_back else green})


_MOST_IMAGES = 1000


def brought(greens: Greens, images: Mapping[str, str]) -> Greens:
    """The record with the images (as asked -> pinned) of one more deploy; the oldest go when there are too many."""
    rest = {asked: pinned for asked, pinned in greens.images.items() if asked not in images}
    # The record must not grow without end; an image that falls out of it is only never removed by us.
    kept = dict([*rest.items(), *images.items()][-_MOST_IMAGES:])
    return greens.model_copy(update={"images": kept})


def withdraw(greens: Greens, version: str) -> Greens:
    """What passed, without a release that was red in full since."""
    releases = {name: green for name, green in greens.releases.items() if name != version}
    last = greens.last if greens.last is not None and greens.last.version != version else None
    return greens.model_copy(update={"releases": releases, "last": last})


def _older(head: Source, tags: Mapping[str, str], why: str) -> Base:
    before = versions.parse(head.version)
    parsed = [version for version in map(versions.parse, tags) if version is not None]
    older = [
        version
        for version in parsed
        if tags[version.text] != head.commit
        and version.recipe.prerelease is None
        and (before is None or version < before)
    ]
    if not older:
        return Base(source=None, reason=f"{why}, and no release is older than {head.version}")
    newest = max(older)
    source = Source(version=newest.text, commit=tags[newest.text], kind="release", name=newest.text)
    return Base(source=source, reason=f"{why}; stepped back to the newest older release {newest.text}")


def _newer(one: Source, head: Source) -> bool:
    mine, theirs = versions.parse(one.version), versions.parse(head.version)
    return mine is not None and theirs is not None and mine > theirs


def _same(one: Source, other: Source) -> bool:
    return one.commit == other.commit or (one.kind == other.kind == "release" and one.version == other.version)
