"""From a tag to something deployable: recipe files in, rendered release out. Effects: reads the mirror and overlays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.core.release import render
from reconciler.core.release.compose import ComposeError
from reconciler.core.release.interpolate import InterpolationError
from reconciler.core.testrun import previous_overlay
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import RecipeError
from reconciler.model.recipe import Rendered
from reconciler.model.tests import TestSpec


def read_overlays(context: Context) -> dict[str, bytes]:
    """Content of the overlays that lie on the host; those of the recipe are read with it.

    Raises:
        RecipeError: one cannot be read.
    """
    on_host = [name for name in context.spec.overlays if name.startswith("/")]
    return {name: context.ports.overlays.read(name) for name in on_host}


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a test lays over a recipe. `overlays`: may not change images; `previous`: with their entry, and they may."""

    overlays: Mapping[str, bytes] = field(default_factory=dict)
    previous: Mapping[str, bytes] = field(default_factory=dict)


NO_EXTRAS = Extras()


def render_release(context: Context, version: str, commit: str, extras: Extras = NO_EXTRAS) -> Rendered:
    """Render the recipe at a commit with the app's spec.

    Raises:
        RecipeError: the commit is gone, or the recipe, an overlay or the spec does not fit.
    """
    ports, spec = context.ports, context.spec
    files = {**ports.recipes.files(spec.recipe.url, commit), **extras.previous}
    over: dict[str, bytes] = {}
    for name in spec.overlays:
        if name.startswith("/"):
            over[name] = ports.overlays.read(name)
        elif name in files:
            over[name] = files[name]
        else:
            raise RecipeError(f"overlay {name} is not in the recipe at {version}")
    over |= extras.overlays
    try:
        env = render.environment(spec, _env(context, files, ".env.sample"), _env(context, files, "abra.sh"))
        entry = previous_overlay.add if extras.previous else previous_overlay.remove
        env["COMPOSE_FILE"] = entry(env.get("COMPOSE_FILE", ""), previous_overlay.PREVIOUS_FILE)
        content = render.RecipeContent(version=version, commit=commit, files=files, overlays=over)
        return render.render(spec, content, env, ports.yaml.compose)
    except (ComposeError, InterpolationError) as exc:
        raise RecipeError(str(exc)) from exc
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError) as exc:
        # Recipes are untrusted: a shape that was not foreseen holds this app and no other.
        raise RecipeError(f"a compose file has an unexpected shape: {exc}") from exc


def _env(context: Context, files: Mapping[str, bytes], name: str) -> Sequence[tuple[str, str]]:
    return context.ports.yaml.env(files[name], name) if name in files else ()


def test_overlays(ports: Ports, spec: AppSpec, tests: TestSpec, commit: str) -> Mapping[str, bytes]:
    """The surroundings that a recipe brings for tests, as they are at a commit; nothing if it brings none.

    Raises:
        RecipeError: the commit is gone.
    """
    files = ports.recipes.files(spec.recipe.url, commit)
    return {tests.overlay: files[tests.overlay]} if tests.overlay in files else {}
