"""What a run is going to do: its head, its base, its surroundings. Effects: reads the mirror; fetches a named ref."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.core.release import versions
from reconciler.core.testrun import base as testrun_base
from reconciler.core.testrun import previous_overlay
from reconciler.core.testrun import spec as testrun_spec
from reconciler.engine.ports import Ports
from reconciler.engine.release.render import Extras, test_overlays
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.model.app import AppSpec
from reconciler.model.errors import ActError, RecipeError, UsageError
from reconciler.model.testrun import Run, RunMode, Source
from reconciler.model.tests import METADATA, Stage, TestSpec


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is asked for. `ref` None: the latest release; `base`, `stages` None: as the metadata says.

    `at`: the commit that the head must be, or how it begins, or nothing is tested; '' any.
    `requests`: ids of those who asked; `begun`: is told the report as soon as it is on record.
    """

    spec: AppSpec
    mode: RunMode = RunMode.COLD
    ref: str | None = None
    at: str = ""
    base: str | None = None
    stages: Sequence[Stage] | None = None
    keep_on_failure: bool = False
    actor: str = ""
    requests: tuple[str, ...] = ()
    begun: Callable[[Run], None] = lambda _run: None


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """A run that can be begun. `notes`: what is to be told beside the result."""

    request: RunRequest
    head: Source
    base: testrun_base.Base
    tests: TestSpec
    stages: tuple[Stage, ...]
    head_extras: Extras
    base_extras: Extras
    notes: tuple[str, ...] = field(default=())
    problem: str = ""
    """Why the recipe cannot be tested as it is: the run is red before its first stage."""


def latest(ports: Ports, spec: AppSpec) -> Source | None:
    """The newest release in the spec's track; None: there is none.

    Raises:
        RecipeError: the recipe was never fetched.
    """
    tags = ports.recipes.tags(spec.recipe.url).annotated
    recipe = spec.recipe
    found = [
        version
        for version in map(versions.parse, tags)
        if version is not None and versions.in_track(version, recipe.track, prerelease=recipe.prerelease)
    ]
    if not found:
        return None
    text = max(found).text
    return Source(version=text, commit=tags[text], kind="release", name=text)


def source(environment: RunEnvironment, spec: AppSpec, ref: str) -> Source:
    """A release or any other commit, by name.

    Raises:
        RecipeError: the mirror does not have it.
    """
    url = spec.recipe.url
    tags = environment.ports.recipes.tags(url).annotated
    if ref in tags and versions.parse(ref) is not None:
        return Source(version=ref, commit=tags[ref], kind="release", name=ref)
    return _commit(environment, url, environment.refs.resolve(url, ref), ref, tags)


def _commit(environment: RunEnvironment, url: str, commit: str, name: str, tags: Mapping[str, str]) -> Source:
    """A commit that a release's tag points to is that release, however it was named."""
    parsed = [version for tag, at in tags.items() if at == commit and (version := versions.parse(tag)) is not None]
    if parsed:
        return Source(version=max(parsed).text, commit=commit, kind="release", name=name)
    return Source(version=environment.refs.describe(url, commit), commit=commit, kind="ref", name=name)


def plan_run(environment: RunEnvironment, request: RunRequest) -> RunPlan:
    """Plan a run.

    Raises:
        UsageError: the ref or the base is unknown, or is another commit by now, or the stages make no sense.
        RecipeError: the recipe was never fetched.
        ActError: the release's tag was moved.
    """
    spec = request.spec
    newest = latest(environment.ports, spec)
    try:
        head = newest if request.ref is None else source(environment, spec, request.ref)
    except RecipeError as exc:
        raise UsageError(str(exc)) from exc
    if head is None:
        raise UsageError(f"{spec.name}: no annotated tag of the recipe matches track {spec.recipe.track}")
    if not head.commit.startswith(request.at):
        moved = f"is at {head.commit[:12]}, not at {request.at[:12]} that is to be tested"
        raise UsageError(f"{request.ref or 'the latest release'} {moved}")
    # Before anything of the commit is read: a tag that was moved may carry anything.
    _check_tag(environment, spec, head)
    files = environment.ports.recipes.files(spec.recipe.url, head.commit)
    problem, recipe = "", None
    try:
        if METADATA in files:
            recipe = environment.metadata.tests(files[METADATA], f"{METADATA} at {head.commit[:8]}")
    except RecipeError as exc:
        problem = str(exc)
    tests = testrun_spec.merge(spec.test_spec, recipe)
    # In the order of the enum, not of the request: each stage builds on the ones before it.
    stages = tuple(stage for stage in Stage if stage in (request.stages or tests.stages))
    base = (
        _choose_base(environment, request, tests, head)
        if Stage.UPGRADE in stages
        else testrun_base.Base(source=None, reason="")
    )
    for one in (head, base.source):
        if one is not None:
            check_signature(environment, spec, one)
    previous = (
        previous_overlay.previous(files, tests.previous, base.source.version)
        if base.source
        else previous_overlay.NOTHING
    )
    own = test_overlays(environment.ports, spec, tests, head.commit)
    # The base brings its own surroundings: the head's may name services that it does not have yet.
    base_own = test_overlays(environment.ports, spec, tests, base.source.commit) if base.source else {}
    notes = [*([previous.note] if previous.note else []), *_find_remarks(spec, recipe, tests, files)]
    return RunPlan(
        request=request,
        head=head,
        base=base,
        tests=tests,
        stages=stages,
        head_extras=Extras(overlays=own),
        base_extras=Extras(overlays=base_own or own, previous=previous.files),
        notes=tuple(notes),
        problem=problem,
    )


def _find_remarks(spec: AppSpec, recipe: TestSpec | None, tests: TestSpec, files: Mapping[str, bytes]) -> Iterator[str]:
    """What is written somewhere and does not count."""
    told = (recipe.model_fields_set if recipe else set()) | spec.test_spec.model_fields_set
    if recipe is not None and recipe.checks and not spec.test_spec.recipe_checks:
        yield f"{METADATA} names checks, but the spec does not say recipe_checks: true"
    ignored = sorted(recipe.model_fields_set & {"stages", "recipe_checks"}) if recipe else []
    if ignored:
        yield f"{METADATA}: {', '.join(ignored)}: only the operator's spec can say that"
    if "overlay" in told and tests.overlay not in files:
        yield f"overlay {tests.overlay} is not in the recipe's head"
    if "previous" in told and not any(path.startswith(f"{tests.previous}/") for path in files):
        yield f"previous {tests.previous} is not in the recipe's head"
    lost = [check.name for check in tests.checks if check.stage not in tests.stages]
    if lost:
        yield f"never run, as their stage is not asked for: {', '.join(lost)}"


def _check_tag(environment: RunEnvironment, spec: AppSpec, head: Source) -> None:
    """A tag that points elsewhere than when we first saw it is never deployed, as a head or as a base."""
    seen = environment.ports.store.memory(spec.app).tags.get(head.version) if head.kind == "release" else None
    if seen is not None and seen.commit != head.commit:
        text = f"tag-moved: {head.version} was {seen.commit[:8]} when first seen and is {head.commit[:8]} now"
        raise ActError(f"{text}; a newer version, or the tag where it was, is tested again", permanent=True)


def check_signature(environment: RunEnvironment, spec: AppSpec, source: Source) -> None:
    """Where the spec names signers, releases are signed by one; with `runs.signed_only` any other commit is, too."""
    only = environment.settings.runs.signed_only
    if spec.recipe.signers is None:
        if only:
            raise UsageError(f"{spec.name}: runs.signed_only is set, and the spec names no recipe.signers")
        return
    if source.kind != "release" and not only:
        return
    signers, tag = Path(spec.recipe.signers), source.version if source.kind == "release" else ""
    problem = environment.ports.recipes.find_signature_problem(spec.recipe.url, source.commit, signers, tag)
    if problem:
        raise ActError(f"unsigned: {source.name}: {problem}", permanent=True)


def _choose_base(environment: RunEnvironment, request: RunRequest, tests: TestSpec, head: Source) -> testrun_base.Base:
    spec, url = request.spec, request.spec.recipe.url
    wanted = request.base or tests.base
    try:
        override = source(environment, spec, wanted) if wanted else None
    except RecipeError as exc:
        raise UsageError(f"base: {exc}") from exc
    if override is not None:
        _check_tag(environment, spec, override)
    seen = environment.ports.store.memory(spec.app).tags
    found = environment.ports.recipes.tags(url).annotated
    # A tag that points elsewhere than when we first saw it is no base, as it is no head.
    tags = {name: commit for name, commit in found.items() if name not in seen or seen[name].commit == commit}
    main = environment.refs.main(url)
    tip = _commit(environment, url, main[1], main[0], tags) if main else None
    green = environment.ports.canonicals.greens(url).last
    ahead = tip is not None and environment.refs.is_ancestor(url, head.commit, tip.commit)
    return testrun_base.plan(head, override=override, last_green=green, tip=tip, tags=tags, ahead=ahead)


def check_room(environment: RunEnvironment, spec: AppSpec) -> None:
    """Refuse a run that would not fit, with the figures.

    Raises:
        ActError: there is too little room.
    """
    manifest = environment.ports.node.snapshots.observe(spec.app)
    # The canonical's data as it was promoted is the best guess of what a run of the recipe needs.
    data = sum(volume.data_bytes for volume in manifest.volumes) if manifest else 0
    need = max(environment.settings.runs.min_free, int(data * environment.settings.runs.reserve))
    short = [
        f"{usage.path} has {usage.free >> 20} MiB free"
        for usage in environment.usages(environment.settings.disk.paths)
        if usage.free < need
    ]
    if short:
        of = f" ({data >> 20} MiB of data)" if data else ""
        raise ActError(f"no room for a run: {need >> 20} MiB needed{of}, {' and '.join(short)}", host_fault=True)
