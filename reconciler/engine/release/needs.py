"""What a release expects of the engine: what is not there yet, what is refused. Effects: reads; makes secrets."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reconciler.core.release import collisions, data_places, refusals, render
from reconciler.engine.context import Context
from reconciler.model.recipe import Refusal, Rendered
from reconciler.model.release import Bundle
from reconciler.ports.engine import NamedKind


def missing_externals(context: Context, rendered: Rendered | None) -> list[str]:
    """External things that the release expects and are not there."""
    if rendered is None:
        return []
    engine, spec = context.ports.engine, context.spec
    found: list[str] = []
    here = engine.observe_volumes(rendered.external_volumes)
    found += [f"external volume {name} does not exist" for name in rendered.external_volumes if name not in here]
    networks = engine.observe_named("network", rendered.networks)
    found += [f"external network {name} does not exist" for name in rendered.networks if name not in networks]
    configs = engine.observe_named("config", rendered.configs)
    found += [f"external config {name} does not exist" for name in rendered.configs if name not in configs]
    secrets = engine.observe_named("secret", list(rendered.secrets.values()))
    for key, name in rendered.secrets.items():
        if name in secrets:
            continue
        if secret_key(spec.stack_name, {k: s.version for k, s in spec.secrets.items()}, name) is None:
            found.append(f"secret {name} is neither on the engine nor under 'secrets' in the spec ({key})")
    return found


def find_missing_of(context: Context, bundle: Bundle) -> list[str]:
    """External things that a rendered release expects and are not there; its secrets were made when it was taken.

    Raises:
        ObserveError: the engine could not be asked.
    """
    engine = context.ports.engine
    here = engine.observe_volumes(bundle.external_volumes)
    found = [f"external volume {name} does not exist" for name in bundle.external_volumes if name not in here]
    named: tuple[tuple[NamedKind, Iterable[str]], ...] = (
        ("network", render.list_external(bundle.doc, "networks").values()),
        ("config", render.list_external(bundle.doc, "configs").values()),
        ("secret", bundle.secrets.values()),
    )
    for kind, names in named:
        there = engine.observe_named(kind, sorted(names))
        found += [f"{kind} {name} does not exist" for name in sorted(names) if name not in there]
    return found


def find_refusals(context: Context, rendered: Rendered, modes: Mapping[str, str] | None = None) -> tuple[Refusal, ...]:
    """What Docker would refuse in the release once the app is down already; changes nothing.

    `modes`: of the services that would be updated in place, by short name.

    Raises:
        ActError: the deploy tool cannot be run.
    """
    said = context.ports.engine.check_document(rendered.doc)
    return refusals.find_refusals(rendered, context.stack, said, modes)


def find_taken(context: Context, rendered: Rendered) -> tuple[Sequence[str], Sequence[tuple[str, str]]]:
    """What others on the engine have of what the release wants; and its objects that another stack made.

    Raises:
        ObserveError: the engine could not be asked.
    """
    stack, others = context.stack, context.ports.engine.observe_others(context.stack)
    taken = [
        *collisions.find(rendered.doc, stack, others),
        *collisions.find_missing_plugins(rendered.doc, others.nodes),
    ]
    return taken, list(collisions.find_strangers(rendered.doc, stack, others))


def find_unkept_data(context: Context, rendered: Rendered, pinned: Mapping[str, str]) -> tuple[str, ...]:
    """Places of a stateful release whose data no snapshot would hold; nothing for a stateless one.

    `pinned`: image as asked for -> its reference on the engine, of those that are there.

    Raises:
        ObserveError: the engine could not be asked.
    """
    if not context.spec.stateful:
        return ()
    here = {service: pinned[asked] for service, asked in rendered.images.items() if asked in pinned}
    unkept = data_places.find_unkept(rendered.doc, context.spec.snapshot.exclude, _read_declared(context, here))
    options = [f"{key}: {why}" for key, why in rendered.volume_options.items()]
    empty = ["it mounts no named volume, so nothing would be kept"] if data_places.keeps_nothing(rendered.doc) else []
    return (*options, *map(str, unkept), *empty)


def find_foreign_images(context: Context, pinned: Mapping[str, str]) -> tuple[str, ...]:
    """Images made for another platform than the engine's: none of their programs would start.

    `pinned`: image as asked for -> its reference on the engine, of those that are there.

    Raises:
        ObserveError: the engine could not be asked.
    """
    if "foreign-platform" in context.spec.allow:
        return ()
    here = context.ports.engine.observe_images(sorted(set(pinned.values())))
    return tuple(
        f"image {asked} is made for {here[reference].foreign}, which this engine is not"
        for asked, reference in sorted(pinned.items())
        if reference in here and here[reference].foreign
    )


def find_signature_problem(context: Context, version: str, commit: str) -> str:
    """What is wrong with the signature of a release, where the spec names signers; '' if nothing is."""
    recipe = context.spec.recipe
    if recipe.signers is None or not commit:
        return ""
    return context.ports.recipes.find_signature_problem(recipe.url, commit, Path(recipe.signers), version)


def find_ending_data(context: Context, bundle: Bundle) -> tuple[str, ...]:
    """Places of a release that runs whose data ends when it is taken down, but for those that the spec gives up.

    Raises:
        ObserveError: the engine could not be asked.
    """
    declared = _read_declared(context, bundle.images)
    found = data_places.find_unkept(bundle.doc, context.spec.snapshot.exclude, declared)
    return tuple(str(one) for one in found if one.ends)


def _read_declared(context: Context, images: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Service -> paths that its image declares as volumes. `images`: service -> reference; those away are left out."""
    here = context.ports.engine.observe_images(sorted(set(images.values())))
    return {service: here[reference].volumes for service, reference in images.items() if reference in here}


def secret_key(stack: str, declared: dict[str, str], name: str) -> str | None:
    """Which of the spec's secrets an engine name belongs to: `<stack>_<key>_<version>`; None if none."""
    return next((key for key, version in declared.items() if name == f"{stack}_{key}_{version}"), None)


def create_secrets(context: Context, bundle: Bundle) -> None:
    """Create the secrets that the spec declares and are not there yet.

    Raises:
        RecipeError: the file of one cannot be read; none was made.
    """
    make_secrets(context, read_new_secrets(context, bundle.secrets.values()))


def read_new_secrets(context: Context, names: Iterable[str]) -> dict[str, bytes]:
    """The values of those secrets that the spec declares and are not there yet, by their names on the engine.

    Raises:
        RecipeError: the file of one cannot be read.
    """
    spec, wanted = context.spec, list(names)
    existing = context.ports.engine.observe_named("secret", wanted)
    declared = {key: secret.version for key, secret in spec.secrets.items()}
    found = {}
    for name in wanted:
        key = secret_key(spec.stack_name, declared, name)
        if name not in existing and key is not None:
            found[name] = context.ports.secrets.value(spec, key)
    return found


def make_secrets(context: Context, values: Mapping[str, bytes]) -> None:
    """Make them on the engine."""
    for name, value in values.items():
        context.ports.engine.create_secret(context.app, context.spec.stack_name, name, value)
