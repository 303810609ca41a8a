"""From a tag to something deployable: recipe files in, rendered release out. Effects: reads the mirror and overlays."""

from collections.abc import Mapping

from reconciler.core import render
from reconciler.core.compose import ComposeError
from reconciler.core.interpolate import InterpolationError
from reconciler.engine.context import Context
from reconciler.model.errors import RecipeError
from reconciler.model.recipe import Rendered


def overlays(context: Context) -> dict[str, bytes]:
    """Content of the overlays that lie on the host; those of the recipe are read with it.

    Raises:
        RecipeError: one cannot be read.
    """
    on_host = [name for name in context.spec.overlays if name.startswith("/")]
    return {name: context.ports.overlays.read(name) for name in on_host}


def rendered(context: Context, version: str, commit: str) -> Rendered:
    """Render the recipe at a commit with the app's spec.

    Raises:
        RecipeError: the commit is gone, or the recipe, an overlay or the spec does not fit.
    """
    ports, spec = context.ports, context.spec
    files = ports.recipes.files(spec.recipe.url, commit)
    over: dict[str, bytes] = {}
    for name in spec.overlays:
        if name.startswith("/"):
            over[name] = ports.overlays.read(name)
        elif name in files:
            over[name] = files[name]
        else:
            raise RecipeError(f"overlay {name} is not in the recipe at {version}")
    try:
        env = render.environment(spec, _env(context, files, ".env.sample"), _env(context, files, "abra.sh"))
        return render.render(spec, version, commit, files, over, env, ports.yaml.compose)
    except (ComposeError, InterpolationError) as exc:
        raise RecipeError(str(exc)) from exc
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError) as exc:
        # Recipes are untrusted: a shape nobody foresaw holds this app and no other.
        raise RecipeError(f"a compose file has an unexpected shape: {exc}") from exc


def _env(context: Context, files: Mapping[str, bytes], name: str) -> Mapping[str, str]:
    return context.ports.yaml.env(files[name], name) if name in files else {}
