"""What a canonical needs: nothing, a restore, a seeding run. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.core.release.digest import digest
from reconciler.model.app import AppSpec
from reconciler.model.canonical import Canonical, InFlight, Use
from reconciler.model.hold import HoldReason
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.status import Status

MANUAL = "manual"


class Act(StrEnum):
    """The one next thing for a canonical."""

    NOTHING = "nothing"
    UNREADABLE = "its recipe cannot be read"
    IN_USE = "in use"
    NO_RELEASE = "no release"
    MOVED = "its stack has another name now"
    RECOVER = "recover"
    RESTORE = "restore"
    SEED = "seed"


@dataclass(frozen=True, kw_only=True)
class CanonicalFacts:
    """A canonical as it is, its lock held. `volumes`: those of its own that exist; `snapshot`: id of what is there.

    `problem`: why its recipe cannot be read, or has no release that is wanted.
    """

    canonical: Canonical | None
    use: Use | None
    services: bool
    stack: str
    snapshot: str | None
    volumes: tuple[str, ...]
    released: bool
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class CanonicalAssessment:
    """The status of a canonical, why, and what to do."""

    status: Status
    reason: str
    act: Act


def has_lost_its_snapshot(canonical: Canonical, snapshot: str | None) -> bool:
    """Say whether the snapshot that is there (by id) is not the one that belongs to it."""
    return canonical.snapshot is not None and snapshot != canonical.snapshot


def judge(seen: CanonicalFacts) -> CanonicalAssessment:
    """Decide. A run that used it and holds no lock any more is dead; an operator needs no lock."""
    use, canonical = seen.use, seen.canonical
    # First of all what a run left deployed: as long as it writes, nothing else that we see of the data lasts.
    if use is not None and use.by != MANUAL and (seen.services or canonical is None):
        return CanonicalAssessment(status=Status.INTERRUPTED, reason=f"{use.by} died with it", act=Act.RECOVER)
    if seen.services:
        who = "by hand (ci-warm canonical undeploy ends it)" if use is not None else "by a program that left no mark"
        return CanonicalAssessment(status=Status.UNMANAGED, reason=f"in use {who}", act=Act.IN_USE)
    if canonical is None:
        if not seen.released:
            return CanonicalAssessment(
                status=Status.ABSENT, reason="cold, and the recipe has no release", act=Act.NO_RELEASE
            )
        return CanonicalAssessment(status=Status.ABSENT, reason="cold: nothing was promoted yet", act=Act.SEED)
    # Volumes carry the stack's name: seeded anew under another one, the known-good data would be orphaned.
    if canonical.stack != seen.stack:
        reason = f"the spec names stack {seen.stack}, its data belongs to stack {canonical.stack}"
        return CanonicalAssessment(status=Status.UNKNOWN, reason=reason, act=Act.MOVED)
    if has_lost_its_snapshot(canonical, seen.snapshot):
        reason = f"cold: its snapshot {canonical.snapshot} is gone"
        return CanonicalAssessment(status=Status.ABSENT, reason=reason, act=Act.SEED)
    missing = sorted(set(canonical.volumes) - set(seen.volumes))
    if missing and canonical.snapshot is not None:
        reason = f"volumes {', '.join(missing)} are gone"
        return CanonicalAssessment(status=Status.DRIFTED, reason=reason, act=Act.RESTORE)
    reason = "undeployed, as a canonical is when idle"
    if use is not None and use.by != MANUAL:
        reason = f"undeployed; dirty since {use.by}: restored before its next use"
    # Not "nothing to do": whether there is a newer release to test could not be seen.
    return CanonicalAssessment(
        status=Status.IDLE,
        reason=f"{reason}; {seen.problem}" if seen.problem else reason,
        act=Act.UNREADABLE if seen.problem else Act.NOTHING,
    )


_LONGEST = 5  # doublings: 15 minutes become 8 hours


def key(spec: AppSpec, version: str) -> str:
    """The full identity of what is being seeded: another release, recipe or stack under one name is another item."""
    return digest(
        {"app": spec.name, "recipe": spec.recipe.url, "version": version, "stack": spec.stack_name, "at": spec.domain}
    )


def is_in_flight(mark: InFlight | None, wanted: str, life: timedelta, now: datetime) -> bool:
    """Say whether a seeding run was asked for so lately that it may not be visible yet.

    A mark from the future counts as none: the clock was set back. What was asked for in vain before is asked for
    again, each time after twice as long.
    """
    if mark is None or mark.key != wanted:
        return False
    doublings = max(0, min(mark.asked - 1, _LONGEST))
    return timedelta(0) <= now - mark.at < life * (1 << doublings)


def next_mark(mark: InFlight | None, wanted: str, now: datetime) -> InFlight:
    """The mark to leave when asking now."""
    again = mark.asked + 1 if mark is not None and mark.key == wanted else 1
    return InFlight(key=wanted, at=now, asked=again)


_OUTLOOK: dict[Act, tuple[Result, tuple[str, ...]]] = {
    Act.NOTHING: (Result(kind=ResultKind.NOOP_IDLE), ()),
    Act.UNREADABLE: (Result(kind=ResultKind.RECIPE), ()),
    Act.IN_USE: (Result(kind=ResultKind.IN_USE), ()),
    Act.NO_RELEASE: (Result(kind=ResultKind.NO_RELEASE), ()),
    Act.MOVED: (held(HoldReason.STACK_CHANGED), ()),
    Act.RECOVER: (Result(kind=ResultKind.RESTORED), ("undeploy", "restore")),
    Act.RESTORE: (Result(kind=ResultKind.RESTORED), ("restore",)),
    Act.SEED: (Result(kind=ResultKind.SEEDING), ("ask for a seeding run",)),
}


def outlook(judged: CanonicalAssessment) -> tuple[Result, tuple[str, ...]]:
    """How a pass would end for it, and what it would do: for people who ask before it happens."""
    return _OUTLOOK[judged.act]


def word(seen: CanonicalFacts) -> str:
    """The status in one word: idle, in-use, dirty or cold."""
    judged = judge(seen)
    if seen.services:
        return "in-use"
    if judged.act in (Act.SEED, Act.NO_RELEASE) or seen.canonical is None:
        return "cold"
    return "dirty" if seen.use is not None or judged.act not in (Act.NOTHING, Act.UNREADABLE) else "idle"
