"""Everything that is known about one app before anything is decided. Effects: reads only, one probe series."""

from dataclasses import dataclass, field, replace

from reconciler.core.live import assess
from reconciler.core.release import render, versions
from reconciler.engine.change.steps.verify import probe_of
from reconciler.engine.context import Context
from reconciler.engine.release import render as release_render
from reconciler.model.errors import RecipeError
from reconciler.model.journal import Journal
from reconciler.model.memory import Memory, TagSeen
from reconciler.model.observed import ServiceMode, StackObs, World
from reconciler.model.recipe import Tags
from reconciler.model.release import KnownGood
from reconciler.model.status import Assessment, Status
from reconciler.ports import ProbeAnswer

_PROBE_PAUSE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one app's pass starts from. `recipe_problem`: tags could not be read or fetched, as text."""

    known: KnownGood | None
    journal: Journal | None
    memory: Memory
    stack: StackObs
    tags: Tags
    choice: versions.Choice
    desired: str
    running: str | None
    answer: ProbeAnswer | None
    recipe_problem: str | None = None
    evidence: tuple[str, ...] = field(default=())
    taken_ports: frozenset[int] | None = None


def gather(context: Context, world: World, fetch_problem: str | None, *, remember: bool = True) -> Facts:
    """Read the records, the tags and the world of one app; `remember` tags seen for the first time (needs the lock).

    Raises:
        StateError: one of our records is unreadable.
    """
    ports, spec = context.ports, context.spec
    known, memory = ports.store.known_good(context.app), ports.store.memory(context.app)
    journal = ports.store.journal(context.app)
    stack = world.stack(context.stack)
    running = assess.running_version(stack, context.stack)
    problem, tags = fetch_problem, Tags(annotated={})
    try:
        tags = ports.recipes.tags(spec.recipe.url)
    except RecipeError as exc:
        problem = problem or str(exc)
    memory = _see_tags(context, memory, tags, remember=remember)
    wish = versions.Wish(
        track=spec.recipe.track,
        prerelease=spec.recipe.prerelease,
        cooldown_s=spec.upgrade.cooldown,
        approved=frozenset(a.version for a in memory.approvals if a.used_at is None),
    )
    on_record = known.release.version if known else running
    choice = versions.choose(
        tags, memory.tags, wish, versions.parse(on_record) if on_record else None, ports.clock.now()
    )
    desired, overlay_problem = _desired(context)
    return Facts(
        known=known,
        journal=journal,
        memory=memory,
        stack=stack,
        tags=tags,
        choice=choice,
        desired=desired,
        running=running,
        answer=None,
        recipe_problem=problem or overlay_problem or _no_such_pin(context, tags),
        evidence=choice.evidence,
        taken_ports=world.taken_ports,
    )


def _no_such_pin(context: Context, tags: Tags) -> str | None:
    """A pin that no tag matches is the operator's mistake, and must not look like being converged."""
    recipe = context.spec.recipe
    found = [v for v in map(versions.parse, tags.annotated) if v]
    if any(versions.in_track(v, recipe.track, prerelease=recipe.prerelease) for v in found):
        return None
    return f"track {recipe.track}: no annotated tag of the recipe matches"


def _desired(context: Context) -> tuple[str, str | None]:
    try:
        return render.desired_digest(context.spec, release_render.overlays(context)), None
    except RecipeError as exc:
        return "", str(exc)


def _see_tags(context: Context, memory: Memory, tags: Tags, *, remember: bool) -> Memory:
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


def probe(context: Context, stack: StackObs) -> ProbeAnswer | None:
    """Ask a running app whether it answers; a bad answer is repeated for a while. None: nothing to ask.

    A service whose tasks are still starting is not asked: that is for the assessment to say.
    """
    if not any(service.mode is ServiceMode.GLOBAL or service.replicas for service in stack.services):
        return None
    clock = context.ports.clock
    deadline = clock.monotonic() + context.settings.limits.steady_probe
    while True:
        answer = context.ports.prober.probe(probe_of(context.spec.domain, context.spec.health))
        if answer.ok or clock.monotonic() >= deadline:
            return answer
        clock.wait(_PROBE_PAUSE_S)


def assessed(context: Context, facts: Facts) -> tuple[Assessment, Facts]:
    """Assess without the probe first: what is absent, interrupted, drifted or starting needs none."""
    seen = assess.Seen(
        spec=context.spec,
        stack=facts.stack,
        known=facts.known,
        journal=facts.journal,
        desired=facts.desired or (facts.known.desired if facts.known else ""),
        candidate=facts.choice.candidate,
        taken_ports=facts.taken_ports,
    )
    first = assess.status(seen)
    if first.status not in (Status.IN_SYNC, Status.OUT_OF_SYNC, Status.UNMANAGED):
        return first, facts
    answer = probe(context, facts.stack)
    if answer is None:
        return first, facts
    probed = replace(seen, probe_ok=answer.ok, probe_detail=answer.detail)
    return assess.status(probed), replace(facts, answer=answer)
