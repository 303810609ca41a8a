"""What the gate holds for the sake of the data. Pure.

No older program is started on what a newer one wrote, and nothing migrates data without a way back.
"""

from collections.abc import Iterator
from datetime import datetime

from reconciler.core.change import data_version
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release import versions
from reconciler.core.release.facts import AppFacts
from reconciler.model.hold import Hold, HoldReason


def find(facts: AppFacts, candidate: UpgradeFacts, now: datetime, *, approved: bool) -> Iterator[Hold]:
    """Every such hold; an approval opens what a human can know better."""
    yield from _downgrade(facts, candidate)
    if not approved and candidate.changes_release:
        yield from _given_up(facts, candidate)
        yield from _older_app(facts, candidate)
    if not approved:
        yield from _watched(facts, candidate, now)


def _downgrade(facts: AppFacts, candidate: UpgradeFacts) -> Iterator[Hold]:
    """No release is started on data of a newer one; an approval brings back the older data, if there is any."""
    stateful, name = facts.spec.stateful, facts.spec.name
    newer = data_version.find_newer(facts.stamps.values(), candidate.version, stateful=stateful)
    origin = facts.origin
    if not newer and not (stateful and origin and data_version.is_newer(origin, candidate.version)):
        return
    detail = data_version.describe(newer, candidate.version) if newer else f"{origin} is newer and wrote the data"
    ways = ["a release that is not older"]
    if facts.known is not None and data_version.may_go_back(facts.known, candidate.version):
        ways.append(f"ci-warm approve {name} {candidate.version} --reason ... goes back with its snapshot")
    yield Hold(reason=HoldReason.DATA_NEWER, detail=f"a downgrade: {detail}", clears_when="; or ".join(ways))


def _given_up(facts: AppFacts, candidate: UpgradeFacts) -> Iterator[Hold]:
    """Data of an app that was stateful: without a snapshot the way back from this release would leave it migrated."""
    kept = sorted(stamp.volume for stamp in facts.stamps.values() if stamp.stateful)
    if facts.spec.stateful or not kept:
        return
    yield Hold(
        reason=HoldReason.PREFLIGHT,
        detail=f"the spec says stateful: false, but {', '.join(kept)} hold data of when it was stateful, and no"
        f" snapshot would be taken before {candidate.version}",
        clears_when=f"stateful: true in the spec; or {_approve(facts, candidate)}, if that data may be lost",
    )


def _older_app(facts: AppFacts, candidate: UpgradeFacts) -> Iterator[Hold]:
    """A release of today with an app of yesterday, as when a maintainer takes a new app back."""
    origin = versions.parse(facts.origin) if facts.origin else None
    target = versions.parse(candidate.version)
    if origin is None or target is None or not facts.spec.stateful or target < origin:
        return
    if versions.classify(origin, target).app_back:
        yield Hold(
            reason=HoldReason.APP_VERSION_UNCLEAR,
            detail=f"the app goes back from {origin.app} to {target.app}, on data that {origin.app} wrote",
            clears_when=f"a release with a newer app; or {_approve(facts, candidate)}, if the older can read that data",
        )


def _watched(facts: AppFacts, candidate: UpgradeFacts, now: datetime) -> Iterator[Hold]:
    """While a release may be taken back, none puts its own snapshot in the place of the one that leads back."""
    known, bake_s = facts.known, facts.spec.upgrade.bake
    if known is None or known.fallback is None or known.fallback.snapshot is None or not known.is_watched(bake_s, now):
        return
    back, version = known.fallback.release.version, known.release.version
    if back == version and not candidate.changes_release:
        return  # settings after settings: the release was well before the first of them
    ends = f"{known.ends_watch(bake_s):%Y-%m-%d %H:%M:%S} UTC"
    yield Hold(
        reason=HoldReason.WATCHED,
        detail=f"{version} may still be taken back, until {ends}, and the way back to {back} and its data would go",
        clears_when=f"{ends}; or {_approve(facts, candidate)}, if {version} is well",
    )


def _approve(facts: AppFacts, candidate: UpgradeFacts) -> str:
    return f"ci-warm approve {facts.spec.name} {candidate.version} --reason ..."
