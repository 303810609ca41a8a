"""Recipe versions `<semver>+<app version>`: parsed, ordered, classified, chosen. Pure.

Only the recipe part is reliably semver; the app part is free text and its major is its first integer.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, total_ordering

from semver import Version as Semver

from reconciler.model.memory import TagSeen
from reconciler.model.recipe import Tags

_KEPT = 4096
"""Versions that stay read: a pass asks of a thousand apps for the same few."""
_CHUNK = re.compile(r"(\d+)")
_FIRST_INTEGER = re.compile(r"\d+")
_PRE_RELEASE = re.compile(
    r"(?:^|[\d._-])(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary|milestone)(?:[._-]?\d+)*(?=$|[._-])"
    r"|\d(?:a|b)\d+(?=$|[._-])",
    re.IGNORECASE,
)
"""In an app's version: a word of its own, before digits at most, so that neither `alpine` nor `arch` is one."""
_NAMED = 5
"""Tags that a message names."""


@total_ordering
@dataclass(frozen=True, kw_only=True, eq=False)
class Version:
    """One parsed version. Equal only when both parts are."""

    text: str
    recipe: Semver
    app: str

    def _key(self) -> tuple[Semver, tuple[tuple[int, int, str], ...], str]:
        # The text comes last, so that two app versions that read the same as numbers still have one order.
        return self.recipe, natural(self.app), self.app

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@lru_cache(maxsize=_KEPT)
def parse(text: str) -> Version | None:
    """Read a tag name; None if it is not a recipe version (which is not an error: repositories have other tags)."""
    recipe_text, plus, app = text.partition("+")
    # Without `+` the tag would say nothing of the app's own version, by which majors are told.
    if not plus or not app or not Semver.is_valid(recipe_text):
        return None
    return Version(text=text, recipe=Semver.parse(recipe_text), app=app)


@lru_cache(maxsize=_KEPT)
def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Order text as people do: digits as numbers, a leading `v` aside, a number before letters."""
    bare = text[1:] if re.match(r"v\d", text) else text
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in _CHUNK.split(bare) if part)


def app_major(app: str) -> int | None:
    """The first integer of an app version, None if it has none."""
    found = _FIRST_INTEGER.search(app)
    return int(found[0]) if found else None


@dataclass(frozen=True, kw_only=True)
class Bump:
    """What changes between two versions. `app_unclear`: the app part changed and cannot be compared.

    `app_back`: it can, and goes back: an older program on what the newer one wrote.
    """

    recipe_major: bool
    app_major: bool
    app_unclear: bool
    app_back: bool


def _numbers(app: str) -> tuple[int, ...]:
    """The numbers that an app version begins with: `5.1.0-rc1` is no later than `5.1.0`, nor an earlier one."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", app)
    parts = [int(part) for part in found[1].split(".")] if found else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def classify(origin: Version, target: Version) -> Bump:
    """Compare the majors of both parts."""
    before, after = app_major(origin.app), app_major(target.app)
    changed = origin.app != target.app
    return Bump(
        recipe_major=origin.recipe.major != target.recipe.major,
        app_major=changed and before is not None and after is not None and before != after,
        app_unclear=changed and (before is None or after is None),
        app_back=changed and before is not None and after is not None and _numbers(target.app) < _numbers(origin.app),
    )


def is_prerelease(version: Version) -> bool:
    """Whether either part says that it is not finished: `2.0.0-rc.1+3.0`, `1.0.0+5.0.9-beta1`."""
    return version.recipe.prerelease is not None or _PRE_RELEASE.search(version.app) is not None


def in_track(version: Version, track: str, *, prerelease: bool) -> bool:
    """Say whether the spec's `track` wants this version. An exact version may name the recipe part alone."""
    if track == "latest" or track.endswith(".x"):
        wanted = [] if track == "latest" else [int(part) for part in track.split(".")[:-1]]
        have = [version.recipe.major, version.recipe.minor][: len(wanted)]
        return have == wanted and (prerelease or not is_prerelease(version))
    return track in (version.text, str(version.recipe))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to run. `candidate` None: nothing in the repository is wanted. `too_young`: newer, still cooling down."""

    candidate: Version | None
    too_young: Version | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrackPolicy:
    """The spec's part of choosing. `cooldown_s` counts from our first sight; `approved`: by an operator, unused."""

    track: str
    prerelease: bool
    cooldown_s: float
    approved: frozenset[str] = frozenset()


def choose(
    tags: Tags, seen: Mapping[str, TagSeen], policy: TrackPolicy, running: Version | None, now: datetime
) -> Choice:
    """Pick the greatest wanted version that is old enough; never one below what runs unless pinned exactly.

    If the newest is still cooling down and no other newer one is old enough, it is the candidate all the same,
    so that the gate can say why it waits.
    """
    evidence = [f"tag {name} is lightweight and does not count" for name in tags.lightweight if parse(name)]
    evidence += [f"tag {name} is not <semver>+<app version>" for name in tags.annotated if parse(name) is None]
    wanted = sorted(
        (v for v in map(parse, tags.annotated) if v and in_track(v, policy.track, prerelease=policy.prerelease)),
        reverse=True,
    )
    # A pin is an operator's own word, so it alone may lead below what runs; the gate still judges the way there.
    exact = not (policy.track == "latest" or policy.track.endswith(".x"))
    newer = [v for v in wanted if running is None or exact or v > running]
    if not newer:
        if running is not None and running.text not in tags.annotated:
            evidence.append(f"tag {running.text}, which runs, is no longer in the repository; nothing is downgraded")
        return Choice(candidate=running, evidence=tuple(evidence))
    # What was approved goes before what is newer: an operator looked at that release and at no other.
    approved = next((v for v in newer if v.text in policy.approved), None)
    ripe = [v for v in newer if age_s(seen.get(v.text), now) >= policy.cooldown_s]
    best = approved or (ripe[0] if ripe else newer[0])
    young = newer[0] if newer[0] != best and newer[0] not in ripe else None
    if young is not None:
        evidence.append(f"{young.text} is newer but still cooling down")
    return Choice(candidate=best, too_young=young, evidence=tuple(evidence))


def explain_no_match(tags: Tags, policy: TrackPolicy) -> str | None:
    """Why no tag of a recipe can be taken; None: one can. It must not look like being converged."""
    found = sorted((v for v in map(parse, tags.annotated) if v), reverse=True)
    if any(in_track(v, policy.track, prerelease=policy.prerelease) for v in found):
        return None
    if found:
        there = ", ".join(v.text for v in found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        hidden = any(in_track(v, policy.track, prerelease=True) for v in found)
        more = "; pre-releases are left out (recipe.prerelease)" if hidden else ""
        return f"track {policy.track}: no annotated tag of the recipe matches; there are {there}{more}"
    names = ", ".join(sorted(tags.annotated or tags.lightweight)[:_NAMED])
    if tags.annotated:
        return f"track {policy.track}: the recipe has no release: none of its tags is <semver>+<app version> ({names})"
    if tags.lightweight:
        return f"track {policy.track}: the recipe has lightweight tags only ({names}); a release is an annotated one"
    return f"track {policy.track}: the recipe has no tags, so no release"


def age_s(seen: TagSeen | None, now: datetime) -> float:
    """Seconds since our own first sight; never negative, so a clock set back only makes us wait longer."""
    return 0.0 if seen is None else max(0.0, (now - seen.first_seen).total_seconds())


def stepped_over(tags: Iterable[str], origin: Version, target: Version) -> Sequence[str]:
    """Every version above `origin` up to and including `target`, oldest first: all their notes count."""
    # Notes of a version that is skipped may ask for a step by hand all the same.
    found = sorted(v for v in map(parse, tags) if v is not None and origin < v <= target)
    return [v.text for v in found]


def ripe_at(seen: TagSeen | None, cooldown_s: float, now: datetime) -> datetime:
    """When the cooldown of a tag ends."""
    return (seen.first_seen if seen else now) + timedelta(seconds=cooldown_s)
