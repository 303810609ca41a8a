"""From a commit to something a run can deploy. Effects: reads the mirror, pulls images, makes secrets."""

from collections.abc import Mapping

from reconciler.core.release import render
from reconciler.core.testrun import chaos_label
from reconciler.engine.context import Context
from reconciler.engine.release import images, needs
from reconciler.engine.release import render as release_render
from reconciler.engine.release.render import Extras
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.recipe import ImageLookup
from reconciler.model.release import Bundle
from reconciler.model.testrun import Source

LABEL_RUN = "ci-warm.run"
_SWARMS_S = 5.0
"""How long Swarm watches the tasks of an update unless told."""
_SHORTEST_S = 0.5


def build_bundle(
    context: Context, source: Source, extras: Extras, run: str, *, head: bool, known: Mapping[str, str] | None = None
) -> Bundle:
    """Render a commit and have its images here. `head`: it carries its commit; `known`: service -> pinned image.

    Raises:
        RecipeError: the recipe is to blame: it cannot be rendered, breaks the policy, or an image of it is nowhere.
        ActError, ObserveError: an image could not be had, or the engine not be asked.
    """
    rendered = release_render.render_release(context, source.version, source.commit, extras)
    taken, strangers = needs.find_taken(context, rendered)
    wanted = (*rendered.policy, *strangers)
    denied = [f"{where} needs {allowed}" for allowed, where in wanted if allowed not in context.spec.allow]
    if denied:
        raise RecipeError(f"the policy forbids it: {'; '.join(denied)} (allow: in the spec, if you trust it)")
    # Before any image is pulled: what the operator forgot to make is told in seconds.
    missing = [*needs.missing_externals(context, rendered), *taken]
    if missing:
        raise RecipeError("; ".join(missing))
    refused = needs.find_refusals(context, rendered)
    if refused:
        raise RecipeError(f"Docker would refuse it: {'; '.join(map(str, refused))}")
    pinned = (
        _known(rendered.images, known) if known else _pull_pinned(context, list(images.lookup_new(context, rendered)))
    )
    unkept = needs.find_unkept_data(context, rendered, pinned)
    foreign = needs.find_foreign_images(context, pinned)
    if foreign:
        raise RecipeError("; ".join(foreign))
    if unkept:
        raise RecipeError(f"data that cannot be snapshotted: {'; '.join(unkept)}")
    labels = {LABEL_RUN: run} | (chaos_label.labels(context.stack, source.commit) if head else {})
    # Settling watches the same tasks: Swarm need not do so longer than our own gate, 5 s per service as a rule.
    monitor_s = min(_SWARMS_S, max(_SHORTEST_S, context.spec.health.min_healthy))
    made = render.bundle(context.spec, rendered, pinned, labels, monitor_s)
    needs.create_secrets(context, made)
    return made


def _known(asked: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    missing = sorted(set(asked) - set(known))
    if missing:
        raise RecipeError(f"no image is on record for {', '.join(missing)}")
    return {reference: known[service] for service, reference in asked.items()}


def _pull_pinned(context: Context, looked: list[ImageLookup]) -> dict[str, str]:
    gone = [image.reference for image in looked if image.exists is False and not image.local]
    if gone:
        raise RecipeError(f"image not found: {', '.join(gone)}")
    try:
        return images.pull_missing(context, looked)
    except ActError as exc:
        # The registry says that there is none: the recipe's fault. Anything else is the host's, and the run
        # is tried again.
        if exc.permanent:
            raise RecipeError(str(exc)) from exc
        raise
