"""Would going back to the release before work, with its data? Effects: reads only."""

from collections.abc import Mapping

from reconciler.core.change import data_version, room
from reconciler.core.change.room import Fit
from reconciler.engine.context import Context
from reconciler.engine.release import images
from reconciler.engine.release.needs import find_missing_of, find_signature_problem
from reconciler.model.data_stamp import DataStamp
from reconciler.model.errors import ActError, RecipeError, StateError
from reconciler.model.release import KnownGood, Release


def find_way_back_problems(
    context: Context, known: KnownGood | None, stamps: Mapping[str, DataStamp] | None = None
) -> list[str]:
    """Why rolling back to the fallback would not work; empty = it would. Reads the snapshot back.

    Raises:
        ObserveError: the engine could not be asked.
    """
    if known is None:
        return ["nothing is known-good yet, so there is no way back"]
    if known.fallback is None:
        return ["known-good has no fallback: nothing was upgraded, or the last upgrade was rolled back"]
    looked = images.lookup_release(context, known.fallback.release)
    problems = [
        f"image {i.reference}: {i.error or 'not found'}" for i in looked if not i.local and i.exists is not True
    ]
    problems += _find_refusals_of(context, known.fallback.release)
    problems += _find_unsigned(context, known.fallback.release)
    problems += _find_missing_of(context, known.fallback.release)
    if known.fallback.snapshot is None:
        back = known.fallback.release.version
        newer = data_version.find_newer((stamps or {}).values(), back, stateful=context.spec.stateful)
        if context.spec.stateful:
            problems.append("the fallback has no snapshot, so its data cannot come back")
        elif newer:
            problems.append(f"{data_version.describe(newer, back)}, and there is no snapshot of it")
        return problems
    manifest = context.ports.node.snapshots.observe(context.app)
    if manifest is None or manifest.id != known.fallback.snapshot:
        return [*problems, f"the snapshot {known.fallback.snapshot} is not there"]
    problems += context.ports.node.snapshots.verify(context.app)
    fit = find_fit(context, known)
    return [*problems, *([fit.problem] if fit is not None and fit.problem else [])]


def _find_missing_of(context: Context, release: Release) -> list[str]:
    """What it was deployed with and is gone since: found before the newer release is taken down."""
    try:
        bundle = context.ports.store.bundle(context.app, release.bundle)
    except StateError:
        return []  # told with what Docker would refuse
    return find_missing_of(context, bundle)


def _find_unsigned(context: Context, release: Release) -> list[str]:
    """A release whose signer counts no more; one whose tag was withdrawn since was signed when it was taken."""
    try:
        tags = context.ports.recipes.tags(context.spec.recipe.url).annotated
    except RecipeError:
        return []
    if release.version not in tags:
        return []
    unsigned = find_signature_problem(context, release.version, release.commit)
    return [f"unsigned: {release.version}: {unsigned}"] if unsigned else []


def find_fit(context: Context, known: KnownGood | None) -> Fit | None:
    """Whether the data of the fallback fits where it must go; None: there is none to go back to.

    Raises:
        ObserveError: the engine could not be asked.
    """
    manifest = context.ports.node.snapshots.observe(context.app)
    if known is None or known.fallback is None or known.fallback.snapshot is None or manifest is None:
        return None
    bundle = context.ports.store.bundle(context.app, known.release.bundle)
    names = {*(volume.volume for volume in manifest.volumes), *bundle.volumes.values()}
    existing = context.ports.engine.observe_volumes(sorted(names))
    try:
        found = context.ports.node.snapshots.room(context.app, list(existing.values()))
    except ActError as exc:
        return Fit(problem=str(exc))
    return room.judge_return(room.estimate_need(manifest.volumes), found.free_volumes, found.used)


def _find_refusals_of(context: Context, release: Release) -> list[str]:
    """What the deploy tool says of a release that is rendered already: the tool may have changed since."""
    try:
        doc = context.ports.store.bundle(context.app, release.bundle).doc
        said = context.ports.engine.check_document(doc) or ()
    except (StateError, ActError) as exc:
        return [str(exc)]
    return [f"Docker would refuse {release.version}: {text}" for text in said]
