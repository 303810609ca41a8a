"""The harmless part of a change: what can fail does so before the app is touched. Effects: engine, records, files."""

from collections.abc import Mapping

from reconciler.core.live.gate import hold_foreign, hold_unkept
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release import render
from reconciler.core.release.facts import AppFacts
from reconciler.engine.context import Context
from reconciler.engine.live.preflight import find_room_problem
from reconciler.engine.release import images
from reconciler.engine.release.needs import find_foreign_images, find_unkept_data, make_secrets, read_new_secrets
from reconciler.model.errors import ActError, ObserveError, RecipeError
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.journal import Change, Journal
from reconciler.model.memory import Memory
from reconciler.model.release import Bundle


def find_last_holds(context: Context, facts: AppFacts, upgrade: UpgradeFacts) -> tuple[Hold, ...]:
    """What is asked only when nothing else holds, as it is dear or private: room, and the values of new secrets.

    Raises:
        ObserveError: the engine could not be asked.
    """
    rendered = upgrade.rendered
    if rendered is None:
        return ()
    found = []
    if context.spec.stateful and facts.known is not None:
        _, complaint = find_room_problem(context, list(rendered.volumes.values()))
        found += [_hold(HoldReason.PREFLIGHT, complaint, "there is room")] if complaint is not None else []
    try:
        read_new_secrets(context, rendered.secrets.values())
    except RecipeError as exc:
        found.append(_hold(HoldReason.PREFLIGHT, str(exc), "the file is there"))
    return tuple(found)


def stage_release(context: Context, facts: AppFacts, upgrade: UpgradeFacts) -> Bundle | Hold:
    """Pull and pin images, protect the way back, make secrets: nothing is left to fetch.

    A Hold has touched nothing of the app, and has made no secret.
    """
    if upgrade.rendered is None:
        raise AssertionError("the gate lets nothing through that cannot be rendered")
    rendered, ports = upgrade.rendered, context.ports
    try:
        # Read before and made last: whatever can still hold does so before a thing is made.
        values = read_new_secrets(context, rendered.secrets.values())
        pinned = images.pull_missing(context, upgrade.images_new)
        # What an image declares as volumes is known now, and nothing of the app has been touched.
        unkept = find_unkept_data(context, rendered, pinned)
        if unkept:
            return hold_unkept(unkept)
        foreign = find_foreign_images(context, pinned)
        if foreign:
            return hold_foreign(foreign)
        if facts.known is not None:  # a rollback must need no network: what is only in a registry is fetched now
            images.pull_missing(context, upgrade.images_prior, " for the way back")
        # After the pull, because only then is it known what the tag stands for now.
        moved = _remember_digests(context, facts.memory, upgrade, pinned)
        if moved is not None:
            return moved
        bundle = render.bundle(context.spec, rendered, pinned)
        # Both, from before the change on: a prune in the middle of it must leave the way forward and the way
        # back (I21).
        kept = [*bundle.images.values(), *(facts.known.release.images.values() if facts.known else ())]
        ports.engine.protect_images(context.app, sorted(set(kept)))
        # A bundle on disk is one whose images are here and kept.
        ports.store.put_bundle(bundle)
        make_secrets(context, values)
    except RecipeError as exc:
        return _hold(HoldReason.PREFLIGHT, str(exc), "the file is there")
    except ActError as exc:
        reason = HoldReason.HOST if exc.host_fault and not exc.permanent else HoldReason.PREFLIGHT
        return _hold(reason, str(exc), "it works when tried again")
    return bundle


def copy_ahead(context: Context, journal: Journal) -> bool:
    """Copy the volumes while the app still runs, and say whether it was done; if not, the app is only down for longer.

    Raises:
        Interrupted: asked to stop; nothing was begun.
    """
    ports, limits = context.ports, context.settings.limits
    if journal.kind is not Change.UPGRADE or not journal.stateful or not context.spec.upgrade.copy_ahead:
        return False
    try:
        volumes = ports.engine.observe_volumes(journal.volumes)
    except ObserveError as exc:
        ports.progress(context.app, f"not copied ahead: {exc}")
        return False
    ports.effect("copy-ahead:before")
    deadline = ports.clock.monotonic() + limits.copy_ahead

    def check() -> None:
        ports.clock.wait(0)  # nothing was begun, so one stop ends it at once
        if ports.clock.monotonic() > deadline:
            raise ActError(f"it takes longer than limits.copy_ahead ({limits.copy_ahead:g} s)")

    why = ports.node.snapshots.copy_ahead(
        context.app,
        [volumes[name] for name in sorted(volumes)],
        least=limits.copy_ahead_from,
        rate=limits.copy_ahead_rate,
        check=check,
    )
    if why:
        ports.progress(context.app, f"not copied ahead: {why}")
    return not why


def _hold(reason: HoldReason, detail: str, clears_when: str) -> Hold:
    return Hold(reason=reason, detail=detail, clears_when=clears_when)


def _remember_digests(
    context: Context, memory: Memory, upgrade: UpgradeFacts, pinned: Mapping[str, str]
) -> Hold | None:
    """Fix what each image of this version is; another digest than the first one seen is never deployed."""
    version = upgrade.version
    seen = memory.tags.get(version)
    if seen is None:
        return None
    found = {reference: pin.rpartition("@")[2] for reference, pin in pinned.items()}
    for reference, digest in found.items():
        before = seen.images.get(reference)
        if before is not None and before != digest:
            detail = f"image {reference} was {before[:19]} when first seen and is {digest[:19]} now"
            return _hold(
                HoldReason.TAG_MOVED, detail, "the image is what it was again, or a newer version is published"
            )
    if seen.images != {**seen.images, **found}:
        updated = seen.model_copy(update={"images": {**seen.images, **found}})
        context.ports.store.put_memory(memory.model_copy(update={"tags": {**memory.tags, version: updated}}))
    return None
