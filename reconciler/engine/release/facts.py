"""Everything that is known about one app before anything is decided. Effects: reads, and first-seen tags."""

from collections.abc import Mapping
from dataclasses import replace

from reconciler.core.change import data_version, disturbances
from reconciler.core.release import placement, render, versions
from reconciler.core.release.facts import AppFacts, Neighbour
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.engine.release import render as release_render
from reconciler.model.data_stamp import DataStamp
from reconciler.model.disturbance import Disturbance
from reconciler.model.errors import RecipeError, StateError
from reconciler.model.ids import AppName, StackName
from reconciler.model.memory import Memory, TagSeen
from reconciler.model.observed import StackObs, World
from reconciler.model.recipe import Tags


def collect_facts(context: Context, world: World, fetch_problem: str | None, *, remember: bool = True) -> AppFacts:
    """Read the records, the tags and the world of one app; `remember` tags seen for the first time (needs the lock).

    Raises:
        StateError: one of our records is unreadable.
    """
    ports, spec = context.ports, context.spec
    known, memory = ports.store.known_good(context.app), ports.store.memory(context.app)
    journal = ports.store.journal(context.app)
    stack = world.stack(context.stack)
    stack = replace(stack, disturbances=note_disturbances(context.ports, world, remember=remember))
    running = render.running_version(stack, context.stack)
    tags, unreadable = _read_tags(context)
    problem = fetch_problem or unreadable
    memory = _remember_tags(context, memory, tags, remember=remember)
    policy = versions.TrackPolicy(
        track=spec.recipe.track,
        prerelease=spec.recipe.prerelease,
        cooldown_s=spec.upgrade.cooldown,
        approved=frozenset(a.version for a in memory.approvals if a.used_at is None),
    )
    # The record before the label: what is known-good was seen to work, a label says only what was deployed.
    on_record = known.release.version if known else running
    have = versions.parse(on_record) if on_record else None
    # Tags that could not be read are not tags that are gone.
    seen = versions.choose(tags, memory.tags, policy, have, ports.clock.now())
    choice = versions.Choice(candidate=have) if unreadable else seen
    desired, overlay_problem = _digest_settings(context)
    return AppFacts(
        spec=spec,
        known=known,
        journal=journal,
        memory=memory,
        stack=stack,
        tags=tags,
        choice=choice,
        desired=desired,
        running=running,
        recipe_problem=problem or overlay_problem or versions.explain_no_match(tags, policy),
        taken_ports=world.taken_ports,
        here=placement.choose_home(world.node_id, world.nodes),
        stamps=_read_stamps(context, world),
        neighbours=tuple(_look_at_neighbour(context, world, name) for name in spec.after),
    )


def note_disturbances(ports: Ports, world: World, *, remember: bool) -> tuple[Disturbance, ...]:
    """All disturbances on record; with `remember` what this look shows is among them, and on disk."""
    if world.disturbances is not None:
        return world.disturbances
    if not remember:
        return ports.disturbances.read()
    return ports.disturbances.note(disturbances.notice(StackObs(nodes=world.nodes), ports.clock.now()))


def _read_stamps(context: Context, world: World) -> Mapping[str, DataStamp]:
    """Of the volumes that exist: those of the stack by their label, and those that were stamped before."""
    recorded = context.ports.store.data(context.app).volumes
    mine = {volume.name: volume for volume in world.volumes_of(context.stack)}
    mine |= {name: world.volumes[name] for name in recorded if name in world.volumes}
    beside = context.ports.node.stamps.read(list(mine.values()))
    return data_version.newest({name: one for name, one in recorded.items() if name in mine}, beside)


def _read_tags(context: Context) -> tuple[Tags, str | None]:
    """The last known tags, also when the fetch failed: what runs is judged and healed all the same; or why not."""
    try:
        return context.ports.recipes.tags(context.spec.recipe.url), None
    except RecipeError as exc:
        return Tags(annotated={}), str(exc)


def _look_at_neighbour(context: Context, world: World, name: str) -> Neighbour:
    """An app that this one comes after; one without a readable record is not there, and so not at rest."""
    store, app = context.ports.store, AppName(name)
    try:
        known, journal = store.known_good(app), store.journal(app)
    except StateError:
        return Neighbour(name=name, stack=StackObs(), is_changing=True)
    stack = world.stack(StackName(known.stack)) if known else StackObs()
    return Neighbour(name=name, stack=stack, is_changing=journal is not None)


def _digest_settings(context: Context) -> tuple[str, str | None]:
    try:
        return render.desired_digest(context.spec, release_render.read_overlays(context)), None
    except RecipeError as exc:
        return "", str(exc)


def _remember_tags(context: Context, memory: Memory, tags: Tags, *, remember: bool) -> Memory:
    """Pin every version tag to the commit it had when we first saw it."""
    now = context.ports.clock.now()
    new = {
        name: TagSeen(commit=commit, first_seen=now)
        for name, commit in tags.annotated.items()
        if name not in memory.tags and versions.parse(name) is not None
    }
    if not new:
        return memory
    updated = memory.model_copy(update={"tags": {**memory.tags, **new}})
    if remember:
        context.ports.store.put_memory(updated)
    return updated
