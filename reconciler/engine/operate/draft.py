"""A spec of a stack that runs already, for an operator to read and keep. Effects: reads; a recipe's mirror.

The recipe is laid beside what runs: that tells which overlays and variables it was deployed with, and what differs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.host import draft_of_stack
from reconciler.core.release import infer, render, sent, versions
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.engine.release import render as release_render
from reconciler.model.app import AppSpec
from reconciler.model.draft import Doubt, Draft
from reconciler.model.errors import RecipeError, UsageError
from reconciler.model.ids import StackName, is_name, stack_for
from reconciler.model.observed import StackObs
from reconciler.model.recipe import Rendered
from reconciler.model.settings import Settings
from reconciler.state import specs, strict_yaml

_OVERLAY = re.compile(r"compose\.[A-Za-z0-9._-]+\.ya?ml")
_MOST_OVERLAYS = 12


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the operator says. `recipe`: a git URL, where `{recipe}` stands for the name by the stack's label."""

    stack: str
    recipe: str | None = None
    domain: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Release:
    version: str
    commit: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """One choice of compose files. `differences`: between what it would send and what runs."""

    chosen: tuple[str, ...]
    env: Mapping[str, str]
    rendered: Rendered
    differences: tuple[str, ...]


def draft_from_stack(ports: Ports, settings: Settings, asked: Asked) -> Draft:
    """Look at the stack and its recipe and write down the spec that would deploy the same.

    Raises:
        UsageError: no such stack, or its recipe or domain cannot be told and was not given.
        RecipeError: the recipe cannot be fetched or read.
    """
    stack = _observe(ports, asked.stack)
    url, domain = _url(stack, asked), _domain(stack, asked)
    name = asked.name or draft_of_stack.find_recipe(stack) or asked.stack
    if not is_name(name):
        raise UsageError(f"{name!r} cannot name an app; --name gives one")
    secrets, others = draft_of_stack.find_secrets(stack, asked.stack)
    base: dict[str, object] = {"name": name, "recipe": {"url": url}, "domain": domain}
    if stack_for(domain) != asked.stack:
        base["stack"] = asked.stack
    base["stateful"] = draft_of_stack.keeps_data(stack)
    if secrets:
        base["secrets"] = {key: {"version": version} for key, version in secrets.items()}
    release, doubts = _release(ports, url, stack, asked.stack)
    fit = _fit(_Work(ports, settings, base, release, stack))
    doubts += [Doubt(key="", text=f"differs from {release.version}: {text}") for text in fit.differences]
    health = _health(stack)
    allow = sorted({allowed for allowed, _ in fit.rendered.policy})
    more = {"env": dict(fit.env), "allow": allow, "health": health}
    doubts += draft_of_stack.doubt_env(fit.env) + draft_of_stack.doubt_secrets(secrets, others)
    doubts += [Doubt(key="allow", text="what the recipe asks for beyond the policy; look at it before you keep it")]
    page = "how its page is asked cannot be told from the Swarm; look at scheme, port, path and status"
    doubts += [Doubt(key="health", text=page)]
    spec = {**base, **{key: value for key, value in more.items() if value}}
    return Draft(name=name, spec=spec, doubts=tuple(one for one in doubts if one.key != "allow" or allow))


def _observe(ports: Ports, name: str) -> StackObs:
    stack = ports.engine.observe_stack(StackName(name))
    if not stack.services:
        there = ", ".join(sorted(ports.engine.look().stacks)) or "none"
        raise UsageError(f"no stack named {name!r} runs here; there are: {there}")
    return stack


def _url(stack: StackObs, asked: Asked) -> str:
    named = draft_of_stack.find_recipe(stack)
    if asked.recipe is None:
        label = f"its label says {named!r}, but not where that is" if named else "no label says which recipe it is of"
        raise UsageError(f"the recipe of {asked.stack} is not known: {label}; --recipe URL")
    if "{recipe}" in asked.recipe and not named:
        raise UsageError(f"no label of {asked.stack} says which recipe it is of; --recipe with the whole URL")
    return asked.recipe.replace("{recipe}", named)


def _domain(stack: StackObs, asked: Asked) -> str:
    found = draft_of_stack.find_domains(stack, asked.stack)
    if asked.domain is None and not found:
        raise UsageError(f"no Traefik rule of {asked.stack} names a domain; --domain NAME")
    return asked.domain or found[0]


def _release(ports: Ports, url: str, stack: StackObs, name: str) -> tuple[_Release, list[Doubt]]:
    """The release that runs by its label, else the newest one."""
    ports.recipes.fetch(url)
    tags = ports.recipes.tags(url)
    said = render.running_version(stack, name)
    doubts: list[Doubt] = []
    version = said
    if version is None or version not in tags.annotated:
        found = sorted(one for one in map(versions.parse, tags.annotated) if one is not None)
        if not found:
            raise RecipeError(f"{url} has no annotated tag that is a version, so there is no release to compare with")
        version = found[-1].text
        why = f"says version {said}, which is no annotated tag of the recipe" if said else "does not say its version"
        doubts = [Doubt(key="recipe", text=f"what runs {why}: compared with {version}, and it will not be adopted")]
    commit = tags.annotated[version]
    return _Release(version=version, commit=commit, files=ports.recipes.files(url, commit)), doubts


@dataclass(frozen=True)
class _Work:
    """What every choice of compose files is tried with."""

    ports: Ports
    settings: Settings
    base: Mapping[str, object]
    release: _Release
    stack: StackObs


def _fit(work: _Work) -> _Fit:
    """Add one overlay of the recipe after the other, as long as that makes what would be sent more like what runs."""
    start = tuple(render.compose_files(_environment(work, {})))
    names = sorted(one for one in work.release.files if _OVERLAY.fullmatch(one) and one not in start)
    best = _try(work, start, is_default=True)
    for name in names[:_MOST_OVERLAYS]:
        try:
            other = _try(work, (*best.chosen, name), is_default=False)
        except RecipeError:
            continue  # one that does not fit this stack cannot be what it was deployed with
        if len(other.differences) < len(best.differences):
            best = other
    return best


def _try(work: _Work, chosen: tuple[str, ...], *, is_default: bool) -> _Fit:
    given = {} if is_default else {"COMPOSE_FILE": ":".join(chosen)}
    plain = _environment(work, given)
    files = work.release.files
    documents = [work.ports.yaml.compose(files[name], name) for name in chosen if name in files]
    inferred = infer.infer(documents, work.stack, plain)
    env = {**given, **{key: inferred[key] for key in sorted(inferred) if key not in _reserved(work)}}
    rendered = release_render.render_release(_context(work, env), work.release.version, work.release.commit)
    return _Fit(chosen=chosen, env=env, rendered=rendered, differences=_differences(work, rendered))


def _differences(work: _Work, rendered: Rendered) -> tuple[str, ...]:
    stack = work.stack
    running = {one.name: one.image.partition("@")[0] for one in stack.services}
    found = [f"service {name} is not in the recipe" for name in running if name not in rendered.images]
    found += [f"service {name} does not run" for name in rendered.images if name not in running]
    found += [
        f"service {name} runs {running[name]}, the recipe has {image}"
        for name, image in rendered.images.items()
        if name in running and running[name] != image
    ]
    name = str(_spec(work, {}).stack_name)
    return (*found, *sent.find_differences(rendered.doc, name, stack))


def _reserved(work: _Work) -> Sequence[str]:
    spec = _spec(work, {})
    return ["STACK_NAME", "DOMAIN", *(f"SECRET_{key.upper()}_VERSION" for key in spec.secrets)]


def _environment(work: _Work, given: Mapping[str, str]) -> dict[str, str]:
    yaml, files = work.ports.yaml, work.release.files
    sample, exports = (yaml.env(files[name], name) if name in files else () for name in (".env.sample", "abra.sh"))
    return render.environment(_spec(work, given), sample, exports)


def _spec(work: _Work, env: Mapping[str, str]) -> AppSpec:
    data = {**work.base, "env": dict(env)}
    return specs.validate(strict_yaml.Parsed(data=data), AppSpec, f"{work.base['name']}.yaml")


def _context(work: _Work, env: Mapping[str, str]) -> Context:
    return Context(ports=work.ports, settings=work.settings, spec=_spec(work, env), actor="draft")


def _health(stack: StackObs) -> dict[str, object]:
    """A page of an app that publishes a port of its own is asked there; behind an ingress the defaults are right."""
    port = draft_of_stack.find_port(stack)
    behind = any(key.startswith("traefik.http.routers.") for one in stack.services for key in one.labels)
    return {"scheme": "http", "port": port} if port is not None and not behind else {}
