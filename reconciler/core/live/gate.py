"""The safety gate: every reason to wait, computed anew each pass, each with what clears it. Pure.

Called by `core.live.plan`. A hold means: nothing is touched.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from reconciler.core.change import backoff
from reconciler.core.live import data_holds, pause, window
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release import notes, versions
from reconciler.core.release.facts import AppFacts
from reconciler.model.app import AppSpec
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.memory import Memory
from reconciler.model.recipe import ImageLookup


def decide(facts: AppFacts, candidate: UpgradeFacts, patterns: Sequence[str], now: datetime) -> tuple[Hold, ...]:
    """Collect all hold reasons for this candidate, most telling first; empty = open."""
    spec, memory = facts.spec, facts.memory
    approved = any(a.version == candidate.version and a.used_at is None for a in memory.approvals)
    holds = [
        # No approval opens these: a release that changed under its name is not the one that was approved.
        *_tag(memory, candidate),
        *_signature(candidate),
        *data_holds.find(facts, candidate, now, approved=approved),
        *(() if approved else _risky(facts, candidate, patterns)),
        *_unclear(facts, candidate, approved=approved),
        *_recipe(spec, candidate),
        *_prior(spec, candidate, approved=approved),
        *_untested(spec, candidate, approved=approved),
        *_preflight(candidate),
        # Not opened by an approval either: it failed here. `retry` is the word that says "try again".
        *_quarantine(facts, candidate),
        *(() if approved else _cooldown(spec, memory, candidate, now)),
        *_calendar(spec, memory, now),
        *_host(memory, now),
    ]
    return tuple(holds)


def _tag(memory: Memory, candidate: UpgradeFacts) -> Iterator[Hold]:
    seen = memory.tags.get(candidate.version)
    if seen is not None and seen.commit != candidate.commit:
        yield Hold(
            reason=HoldReason.TAG_MOVED,
            detail=f"tag {candidate.version} was {seen.commit[:12]} when first seen and is {candidate.commit[:12]} now",
            clears_when=f"the tag points at {seen.commit[:12]} again, or a newer version is published",
        )
    for image in candidate.images_new:
        before = seen.images.get(image.reference) if seen else None
        # Unknown on either side is no difference: a registry that is away must not look like a moved tag.
        if before and image.digest and image.digest != before:
            yield Hold(
                reason=HoldReason.TAG_MOVED,
                detail=f"image {image.reference} was {before[:19]} when first seen and is {image.digest[:19]} now",
                clears_when="the image is what it was again, or a newer version is published",
            )


def _signature(candidate: UpgradeFacts) -> Iterator[Hold]:
    if candidate.unsigned:
        yield Hold(
            reason=HoldReason.UNSIGNED,
            detail=f"{candidate.version}: {candidate.unsigned}",
            clears_when="a release that one of recipe.signers signed, or its key in that file, if you trust it",
        )


def _risky(facts: AppFacts, candidate: UpgradeFacts, patterns: Sequence[str]) -> Iterator[Hold]:
    spec = facts.spec
    origin, target = _pair(facts, candidate)
    if origin is None or target is None:
        return
    bump = versions.classify(origin, target)
    approve = f"ci-warm approve {spec.name} {candidate.version} --reason ..."
    if "major" in spec.upgrade.hold and (bump.recipe_major or bump.app_major):
        part = "recipe" if bump.recipe_major else "app"
        yield Hold(
            reason=HoldReason.MAJOR,
            detail=f"{part} major changes from {origin.text} to {target.text}",
            clears_when=approve,
        )
    alarming = notes.alarming(candidate.notes, patterns) if "manual-migration" in spec.upgrade.hold else {}
    if alarming:
        listed = "; ".join(f"{version}: {line}" for version, line in alarming.items())
        yield Hold(
            reason=HoldReason.MANUAL_MIGRATION,
            detail=f"release notes ask for a human: {listed}",
            clears_when=f"do what the notes say, then {approve}",
        )


def _unclear(facts: AppFacts, candidate: UpgradeFacts, *, approved: bool) -> Iterator[Hold]:
    origin, target = _pair(facts, candidate)
    if not origin or not target or approved:
        return
    bump = versions.classify(origin, target)
    if bump.app_unclear:
        yield Hold(
            reason=HoldReason.APP_VERSION_UNCLEAR,
            detail=f"app versions {origin.app} and {target.app} cannot be compared, so a major may hide there",
            clears_when=f"ci-warm approve {facts.spec.name} {candidate.version} --reason ...",
        )


def _pair(facts: AppFacts, candidate: UpgradeFacts) -> tuple[versions.Version | None, versions.Version | None]:
    if facts.origin is None or not candidate.changes_release:
        return None, None
    return versions.parse(facts.origin), versions.parse(candidate.version)


def _untested(spec: AppSpec, candidate: UpgradeFacts, *, approved: bool) -> Iterator[Hold]:
    if candidate.tested is False and candidate.changes_release and not approved:
        yield Hold(
            reason=HoldReason.UNTESTED,
            detail=f"{candidate.version} has not passed a full cold run on this host",
            clears_when=f"the sweep tests it, or ci-warm cold of the recipe's canonical;"
            f" or ci-warm approve {spec.name} {candidate.version}",
        )


def _recipe(spec: AppSpec, candidate: UpgradeFacts) -> Iterator[Hold]:
    if candidate.problem is not None:
        yield Hold(
            reason=HoldReason.RECIPE,
            detail=f"{candidate.version} cannot be used: {candidate.problem}",
            clears_when="a newer version of the recipe, or a spec that fits it",
        )
    if candidate.refusals:
        yield Hold(
            reason=HoldReason.RECIPE,
            detail=f"Docker would refuse {candidate.version}: {'; '.join(map(str, candidate.refusals))}",
            clears_when="a newer version of the recipe, or an overlay in the spec that says it right",
        )
    denied = [(allowance, where) for allowance, where in candidate.policy if allowance not in spec.allow]
    if denied:
        yield Hold(
            reason=HoldReason.POLICY,
            detail="; ".join(f"{where} needs {allowance}" for allowance, where in denied),
            clears_when=f"allow: [{', '.join(sorted({a for a, _ in denied}))}] in the spec, if you trust it",
        )
    if candidate.lost_volumes:
        yield Hold(
            reason=HoldReason.VOLUMES_CHANGED,
            detail=f"{candidate.version} no longer mounts {', '.join(candidate.lost_volumes)}",
            clears_when="a version that keeps the volumes; an empty volume would look healthy",
        )


def _prior(spec: AppSpec, candidate: UpgradeFacts, *, approved: bool) -> Iterator[Hold]:
    if not candidate.prior_healthy and not approved:
        yield Hold(
            reason=HoldReason.PRIOR_UNHEALTHY,
            detail=candidate.prior_detail or "what runs is not known to be good",
            clears_when="the app is healthy, or "
            f"ci-warm approve {spec.name} {candidate.version} (a snapshot backs the try)",
        )


def _unavailable(images: Sequence[ImageLookup]) -> list[str]:
    """What could not be started: neither on the engine nor known to be in its registry."""
    return [f"{i.reference} ({i.error or 'not found'})" for i in images if not i.local and i.exists is not True]


def _preflight(candidate: UpgradeFacts) -> Iterator[Hold]:
    gone = _unavailable(candidate.images_new)
    if gone:
        yield Hold(
            reason=HoldReason.PREFLIGHT,
            detail=f"new image cannot be pulled: {', '.join(gone)}",
            clears_when="the image is in its registry and the registry answers",
        )
    # A rollback must not need the network: what only a registry has is pulled before anything is touched.
    lost = _unavailable(candidate.images_prior)
    if lost:
        yield Hold(
            reason=HoldReason.PREFLIGHT,
            detail=f"there would be no way back: rollback image missing: {', '.join(lost)}",
            clears_when="the image is on the engine or in its registry again",
        )
    if candidate.unkept:
        yield hold_unkept(candidate.unkept)
    for what in candidate.fixed:
        yield Hold(
            reason=HoldReason.PREFLIGHT,
            detail=what,
            clears_when="the release gives it another name, or nothing else uses it; a network is made anew where the"
            " app is taken down for its upgrades (stateful: true)",
        )
    for what in candidate.taken:
        yield Hold(
            reason=HoldReason.PREFLIGHT,
            detail=what,
            clears_when="what has it gives it up, or an overlay in the spec names another",
        )
    if candidate.foreign:
        yield hold_foreign(candidate.foreign)
    for what in candidate.missing:
        yield Hold(reason=HoldReason.PREFLIGHT, detail=what, clears_when="what is missing is there")


def hold_foreign(found: Sequence[str]) -> Hold:
    """Hold a release whose images are for machines of another kind."""
    return Hold(
        reason=HoldReason.PREFLIGHT,
        detail="; ".join(found),
        clears_when="a release with images for this platform; or the spec says allow: [foreign-platform], if the host"
        " emulates the other one",
    )


def hold_unkept(found: Sequence[str]) -> Hold:
    """Hold a release that has data in places of which no snapshot could be taken and brought back."""
    return Hold(
        reason=HoldReason.PREFLIGHT,
        detail=f"data that cannot be snapshotted: {'; '.join(found)}",
        clears_when="it lies in plain local named volumes on this node; or the spec says snapshot.exclude: [PATH],"
        " if that data may be lost; or stateful: false",
    )


def _quarantine(facts: AppFacts, candidate: UpgradeFacts) -> Iterator[Hold]:
    memory = facts.memory
    for entry in memory.quarantine:
        if (entry.version, entry.commit, entry.desired) == (
            candidate.version,
            candidate.commit,
            facts.desired,
        ):
            yield Hold(
                reason=HoldReason.QUARANTINED,
                detail=f"{entry.version} failed here on {entry.at:%Y-%m-%d %H:%M} UTC: {entry.reason}",
                clears_when="a newer release, or another env, domain, overlay or secret in the spec; after anything"
                f" else was mended, health settings among it: ci-warm retry {memory.app}",
            )


def _cooldown(spec: AppSpec, memory: Memory, candidate: UpgradeFacts, now: datetime) -> Iterator[Hold]:
    seen = memory.tags.get(candidate.version)
    if candidate.changes_release and versions.age_s(seen, now) < spec.upgrade.cooldown:
        ripe = versions.ripe_at(seen, spec.upgrade.cooldown, now)
        yield Hold(
            reason=HoldReason.COOLDOWN,
            detail=f"{candidate.version} is younger than {spec.upgrade.cooldown:g} s, counted from our first sight",
            clears_when=f"{ripe:%Y-%m-%d %H:%M} UTC",
        )


def _calendar(spec: AppSpec, memory: Memory, now: datetime) -> Iterator[Hold]:
    if not window.is_open(spec.upgrade.window, now):
        yield Hold(
            reason=HoldReason.WINDOW,
            detail=f"outside the window {spec.upgrade.window}",
            clears_when="the window opens",
        )
    if spec.upgrade.suspend:
        yield Hold(
            reason=HoldReason.SUSPENDED,
            detail="upgrade.suspend is true in the spec",
            clears_when="suspend: false",
        )
    paused = pause.find_hold(memory, now)
    if paused is not None:
        yield paused


def _host(memory: Memory, now: datetime) -> Iterator[Hold]:
    faults = memory.host_faults
    if faults is None:
        return
    again = backoff.next_attempt(faults)
    if now < again:
        yield Hold(
            reason=HoldReason.HOST,
            detail=f"{faults.count} host faults in a row, last: {faults.reason}",
            clears_when=f"{again:%Y-%m-%d %H:%M:%S} UTC, or ci-warm retry {memory.app}",
        )
