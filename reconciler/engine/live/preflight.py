"""Everything the gate needs to know about a release before anything is touched. Effects: reads only."""

from collections.abc import Sequence

from reconciler.core.change import data_version
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release import networks, placement, versions
from reconciler.core.release.facts import AppFacts
from reconciler.core.release.render import missing_volumes
from reconciler.engine.change.steps.quiesce import blocking
from reconciler.engine.context import Context
from reconciler.engine.release import images, render
from reconciler.engine.release.needs import (
    find_ending_data,
    find_foreign_images,
    find_refusals,
    find_signature_problem,
    find_taken,
    find_unkept_data,
    missing_externals,
)
from reconciler.model.action import Action, Deploy, Upgrade
from reconciler.model.errors import ActError, RecipeError, StateError
from reconciler.model.recipe import ImageLookup, Refusal, Rendered
from reconciler.model.release import Bundle
from reconciler.model.status import Assessment, Status
from reconciler.ports.node import Room


def collect_upgrade_facts(context: Context, facts: AppFacts, assessment: Assessment, action: Action) -> UpgradeFacts:
    """Collect the facts about the release that `action` would take.

    Raises:
        ObserveError: the engine could not be asked.
    """
    version = action.target if isinstance(action, Upgrade | Deploy) else ""
    reconfigures = isinstance(action, Upgrade) and action.reconfigure
    commit = facts.tags.annotated.get(version, "")
    if reconfigures and facts.known is not None:
        commit = facts.known.release.commit  # the release that runs, wherever its tag points now
    rendered, problem = _render(context, version, commit, facts.recipe_problem if not commit else None)
    # Data of a stack that we have no known-good release for: nothing says that the release which wrote it was well.
    existing = _find_existing(context, facts, rendered)
    leftover = _find_leftover(context, facts, existing)
    refused, tool_problem = _find_refusals(context, facts, rendered)
    images_new = images.lookup_new(context, rendered) if rendered else []
    taken, strangers = find_taken(context, rendered) if rendered else ((), ())
    return UpgradeFacts(
        version=version,
        commit=commit,
        rendered=rendered,
        problem=problem,
        notes={} if reconfigures else _read_notes(context, facts, version, commit),
        lost_volumes=_find_lost_volumes(context, facts, rendered),
        unkept=[*_find_ending(context, facts), *_find_unkept(context, rendered, images_new)] if rendered else (),
        existing=existing,
        leftover=leftover,
        images_new=images_new,
        images_prior=images.lookup_release(context, facts.known.release) if facts.known else (),
        missing=[*_find_missing(context, facts, rendered), *tool_problem] if rendered else (),
        foreign=find_foreign_images(context, {one.reference: one.pinned for one in images_new if one.local}),
        refusals=refused,
        taken=taken,
        strangers=strangers,
        fixed=_find_fixed(context, facts, rendered) if rendered else (),
        # New settings are often the cure of an app that fails; waiting for it to be well first would lock it out.
        prior_healthy=(assessment.status is not Status.FAILED or reconfigures) and not leftover,
        prior_detail=_describe_prior(leftover, assessment),
        changes_release=not reconfigures,
        tested=_was_tested(context, version, commit),
        # Settings of the release that runs change no code of it.
        unsigned="" if reconfigures else find_signature_problem(context, version, commit),
    )


def _find_refusals(
    context: Context, facts: AppFacts, rendered: Rendered | None
) -> tuple[Sequence[Refusal], Sequence[str]]:
    """What Docker would refuse, and why it cannot be asked."""
    if rendered is None:
        return (), ()
    try:
        # What is undeployed first is made anew, in whatever mode.
        stays = () if context.spec.stateful else facts.stack.services
        return find_refusals(context, rendered, {one.name: one.mode.value for one in stays}), ()
    except ActError as exc:
        return (), (str(exc),)  # nor could it deploy: found before anything is stopped


def _find_fixed(context: Context, facts: AppFacts, rendered: Rendered) -> list[str]:
    """Networks and volumes that are there in another shape, and that the upgrade could not make anew."""
    engine, stack = context.ports.engine, context.stack
    volumes = engine.observe_volumes(list(rendered.volumes.values())).values()
    found = list(networks.find_changed_volumes(rendered.doc, stack, volumes))
    changed = networks.find_changed(rendered.doc, stack, engine.observe_stack(stack).networks)
    if not changed:
        return found
    if not context.spec.stateful and facts.stack.services:
        return [*found, *(f"{what}; Swarm leaves a network that is in use as it is" for what in changed.values())]
    users = engine.find_network_users(stack, sorted(changed))
    if users:
        found += [f"{what}; it cannot be made anew while {', '.join(users)} uses it" for what in changed.values()]
    return found


def _was_tested(context: Context, version: str, commit: str) -> bool | None:
    """Whether a full cold run was green with just this release; None: the spec does not ask for that."""
    if not context.spec.upgrade.after_green:
        return None
    green = context.ports.canonicals.greens(context.spec.recipe.url).releases.get(version)
    return green is not None and green.commit == commit


def _render(context: Context, version: str, commit: str, problem: str | None) -> tuple[Rendered | None, str | None]:
    if problem or not commit:
        return None, problem or f"there is no annotated tag {version}"
    try:
        return render.render_release(context, version, commit), None
    except RecipeError as exc:
        return None, str(exc)


def _find_existing(context: Context, facts: AppFacts, rendered: Rendered | None) -> tuple[str, ...]:
    """Volumes of a stateful app of which nothing is known-good and nothing runs: they get a snapshot before a try."""
    if facts.known is not None or facts.stack.services or rendered is None or not context.spec.stateful:
        return ()
    return tuple(sorted(context.ports.engine.observe_volumes(list(rendered.volumes.values()))))


def _find_leftover(context: Context, facts: AppFacts, existing: Sequence[str]) -> tuple[str, ...]:
    """Those of them that may hold data that was good once: all but what our own failed first deploys wrote."""
    failed = data_version.list_failed_starts(context.ports.history.lines(), context.app) if existing else frozenset()
    stamps = {name: facts.stamps.get(name) for name in existing}
    # Of an app that was declared stateless the volumes may have been there before: nobody looked.
    return tuple(
        name for name, stamp in stamps.items() if stamp is None or not stamp.stateful or stamp.op_id not in failed
    )


def _describe_prior(leftover: Sequence[str], assessment: Assessment) -> str:
    if leftover:
        return f"volumes {', '.join(leftover)} exist and no record says which version wrote them"
    return assessment.reason


def _read_notes(context: Context, facts: AppFacts, version: str, commit: str) -> dict[str, str]:
    """Notes of every version stepped over, as they stand at the candidate."""
    before, after = versions.parse(facts.origin) if facts.origin else None, versions.parse(version)
    if before is None or after is None or not commit:
        return {}
    try:
        # A lightweight tag is no release, and may have notes all the same; a withdrawn one is not stepped over.
        over = versions.stepped_over({*facts.tags.annotated, *facts.tags.lightweight}, before, after)
        found = dict(context.ports.recipes.notes(context.spec.recipe.url, commit, over))
        for step in over:
            # A maintainer may keep the notes of one release alone: they stand where that release is.
            own = facts.tags.annotated.get(step, commit)
            if step not in found and own != commit:
                found |= context.ports.recipes.notes(context.spec.recipe.url, own, [step])
        return found
    except RecipeError:
        return {}  # the recipe cannot be read at all, which `problem` says and holds


def _read_prior_bundle(context: Context, facts: AppFacts) -> Bundle | None:
    try:
        return context.ports.store.bundle(context.app, facts.known.release.bundle) if facts.known else None
    except StateError:
        return None


def _find_lost_volumes(context: Context, facts: AppFacts, rendered: Rendered | None) -> Sequence[str]:
    prior = _read_prior_bundle(context, facts)
    return missing_volumes(list(prior.volumes.values()), rendered.volumes) if prior and rendered else ()


def _find_missing_prior(context: Context, facts: AppFacts) -> list[str]:
    """What the way back would need and is not there."""
    if facts.known is None:
        return []
    prior = _read_prior_bundle(context, facts)
    if prior is None:
        return [f"the rendered release {facts.known.release.version} is unreadable, so there would be no way back"]
    have = context.ports.engine.observe_volumes(list(prior.volumes.values()))
    return [
        f"volume {name} of the running release does not exist" for name in prior.volumes.values() if name not in have
    ]


def _find_unkept(context: Context, rendered: Rendered, images_new: Sequence[ImageLookup]) -> list[str]:
    if not context.spec.stateful:
        return []
    existing = context.ports.engine.observe_volumes(list(rendered.volumes.values()))
    found = [f"{v.name} (driver {v.driver}, not on this node)" for v in existing.values() if not v.restorable]
    # An image that is not here yet is asked once it is pulled, before the app is touched (`prepare`).
    here = {image.reference: image.pinned for image in images_new if image.local}
    return [*found, *find_unkept_data(context, rendered, here)]


def _find_ending(context: Context, facts: AppFacts) -> list[str]:
    """Data of what runs that ends when it is taken down: a release that names a volume for it would find it empty."""
    prior = _read_prior_bundle(context, facts) if context.spec.stateful else None
    ending = find_ending_data(context, prior) if prior is not None else ()
    return [f"what runs has data that ends when it is taken down ({one}); copy it, or give it up" for one in ending]


def _find_missing(context: Context, facts: AppFacts, rendered: Rendered) -> list[str]:
    return [
        *missing_externals(context, rendered),
        *_find_missing_prior(context, facts),
        *_find_strangers(context, rendered),
        *_find_contradictions(facts, rendered),
    ]


def _find_contradictions(facts: AppFacts, rendered: Rendered) -> list[str]:
    """What forbids an app with data to run where its volumes are looked after."""
    here = next((node for node in facts.stack.nodes if node.id == facts.here), None)
    return list(placement.find_contradictions(rendered.doc, here)) if here is not None and facts.spec.stateful else []


def _find_strangers(context: Context, rendered: Rendered) -> list[str]:
    """Containers of others that hold the volumes: undeploying would wait for them in vain."""
    if not context.spec.stateful:
        return []
    holders = context.ports.node.containers.holders(context.stack, list(rendered.volumes.values()))
    return [
        f"container {holder.name} ({holder.state}) of another stack mounts the app's volumes"
        for holder in blocking(holders)
        if not holder.of_stack
    ]


def find_room_problem(context: Context, volumes: Sequence[str]) -> tuple[Room | None, str | None]:
    """Whether a snapshot and a restore would fit; the figures, and the complaint if not.

    Raises:
        ObserveError: the engine could not be asked.
    """
    existing = context.ports.engine.observe_volumes(volumes)
    try:
        room = context.ports.node.snapshots.room(context.app, list(existing.values()))
    except ActError as exc:
        return None, str(exc)
    need = int(room.used * context.settings.limits.reserve)
    short = [
        f"{where} has {free >> 20} MiB free"
        for where, free in (("the state root", room.free_snapshots), ("the volumes", room.free_volumes))
        if free < need
    ]
    if not short:
        return room, None
    return room, f"no room for a snapshot and a way back: {need >> 20} MiB needed, {' and '.join(short)}"
