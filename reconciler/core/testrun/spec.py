"""What a run is made of: metadata of spec and recipe together, the run's own name, domain and app spec. Pure."""

import re
from collections.abc import Mapping

from reconciler.core.release import interpolate
from reconciler.model.app import AppSpec, Kind
from reconciler.model.tests import TestSpec

_OURS = re.compile(r"\bCI_WARM_[A-Z_]+")
_OPERATORS = frozenset({"stages", "checks", "recipe_checks"})
_RUN = re.compile(r"[a-z0-9][a-z0-9-]{0,3}-[0-9a-f]{6}")


def run_name(app: str, token: str) -> str:
    """`<recipe[:4]>-<6 hex>`: the name of a run, and of the first part of its domain."""
    stem = re.sub(r"[^a-z0-9]", "-", app[:4]).strip("-") or "app"
    return f"{stem}-{token}"


def is_run(name: str) -> bool:
    """Say whether this may be the name of a run."""
    return _RUN.fullmatch(name) is not None


def merge(spec: TestSpec, recipe: TestSpec | None) -> TestSpec:
    """What the spec says, and where it is silent what the recipe says. The recipe's checks only if the spec allows.

    Which stages there are, and so what counts as tested in full, is never the recipe's to say.
    """
    if recipe is None:
        return spec
    fields = {name: getattr(recipe, name) for name in recipe.model_fields_set - spec.model_fields_set - _OPERATORS}
    names = {check.name for check in spec.checks}
    more = tuple(check for check in recipe.checks if check.name not in names) if spec.recipe_checks else ()
    return spec.model_copy(update={**fields, "checks": (*spec.checks, *more)})


def environment(tests: TestSpec, known: Mapping[str, str]) -> dict[str, str]:
    """Variables for the test's deploys; `known`: what a run knows of itself, for `${CI_WARM_...}`.

    Raises:
        InterpolationError: a value that cannot be read.
    """
    for name, value in tests.env.items():
        # A run without a realm knows no issuer: an empty value would make the app start wrong instead of the
        # run end clearly.
        unknown = sorted(set(_OURS.findall(value)) - set(known))
        if unknown:
            raise interpolate.InterpolationError(f"{name}: a run knows no {', '.join(unknown)}")
    return {name: interpolate.text(value, known) for name, value in tests.env.items()}


def for_run(spec: AppSpec, run: str, suffix: str, env: Mapping[str, str]) -> AppSpec:
    """The app spec of a cold run: the canonical's, under a name, domain and stack of the run's own."""
    return spec.model_copy(
        update={
            "name": run,
            # Rendered and judged like any live app; what makes it a canonical is its data, which a cold run
            # does not have.
            "kind": Kind.LIVE,
            "domain": f"{run}.{suffix or 'localhost'}",
            "stack": None,
            "after": (),
            "env": {**spec.env, **env},
            "tests": None,
        }
    )


def for_canonical(spec: AppSpec, env: Mapping[str, str]) -> AppSpec:
    """The app spec of a test on the canonical itself."""
    return spec.model_copy(update={"env": {**spec.env, **env}})
