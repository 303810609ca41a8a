"""Which values of its variables a recipe was deployed with, read off what runs. Pure.

A template such as `${TIMEOUT:-120}` in a compose file and the value that the engine tells in its place give the
variable. Only what explains a difference is told: a variable that has its default anyway need not be written down.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from reconciler.core.release import compose, forms, interpolate
from reconciler.model.base import Json
from reconciler.model.observed import ServiceObs, StackObs

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?[-?][^${}]*)?\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_ROUNDS = 3
"""A value may be told only once another one is known."""


def infer(documents: Sequence[Mapping[str, object]], stack: StackObs, env: Mapping[str, str]) -> dict[str, str]:
    """Name -> value of each variable that the stack has another value of than `env`.

    `documents`: compose files of the recipe as they are written. `env`: the variables as they are without the answer.
    """
    found: dict[str, str] = {}
    for _ in range(_ROUNDS):
        before = len(found)
        for template, told in _pairs(documents, stack, {**env, **found}):
            for name, value in _solve(template, told, env, found):
                # The first one stays: what says something else is a difference, and told as one.
                found.setdefault(name, value)
        if len(found) == before:
            break
    return found


def _solve(template: str, told: str, env: Mapping[str, str], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The one variable whose other value makes the template what is told; nothing if two could."""
    known = {**env, **found}
    try:
        if interpolate.text(template, known) == told:
            return
    except interpolate.InterpolationError:
        pass
    names = {one[1] or one[2] for one in _VARIABLE.finditer(template)} - found.keys()
    answers = {(name, value) for name in names if (value := _match(template, told, name, known)) is not None}
    if len(answers) == 1:
        yield answers.pop()


def _match(template: str, told: str, name: str, known: Mapping[str, str]) -> str | None:
    """What the variable of that name must be; None: nothing fits."""
    pattern, at, seen = "", 0, False
    for one in _VARIABLE.finditer(template):
        pattern += re.escape(template[at : one.start()].replace("$$", "$"))
        if (one[1] or one[2]) != name:
            pattern += re.escape(interpolate.text(one[0], known))
        else:
            pattern += "(?P=value)" if seen else "(?P<value>.*)"
            seen = True
        at = one.end()
    try:
        fits = re.fullmatch(pattern + re.escape(template[at:].replace("$$", "$")), told, re.DOTALL)
    except re.error:
        return None
    return fits["value"] if fits else None


def _pairs(
    documents: Sequence[Mapping[str, object]], stack: StackObs, known: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Every template with what the engine tells in its place."""
    for document in documents:
        for name, body in compose.services(forms.normalize(document)).items():
            service = stack.service(name)
            if service is not None:
                yield from _pairs_of(body, service, known)


def _pairs_of(body: Json, service: ServiceObs, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    deploy = body.get("deploy") or {}
    for place, templates in (("environment", body.get("environment")), ("labels", deploy.get("labels"))):
        told = service.told.get(place)
        if isinstance(templates, Mapping) and isinstance(told, Mapping):
            yield from _of_mapping(templates, told, known)
    if "replicas" in deploy and "replicas" in service.told:
        yield str(deploy["replicas"]), str(service.told["replicas"])
    yield from _ports(body.get("ports") or (), service.told.get("ports"))


def _of_mapping(
    templates: Mapping[object, object], told: Mapping[str, str], known: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for key, template in templates.items():
        try:
            name = interpolate.text(str(key), known)
        except interpolate.InterpolationError:
            continue
        if name in told:
            # `NAME` without a value is filled in from the variable of that name.
            yield (f"${{{name}}}" if template in (None, "") else str(template)), str(told[name])


def _ports(ports: Sequence[object], told: object) -> Iterator[tuple[str, str]]:
    """Published ports by the port inside, where that tells one apart: `8080:80/tcp host`."""
    published: dict[str, list[str]] = {}
    for text in told if isinstance(told, list) else ():
        outside, _, inside = str(text).partition(":")
        published.setdefault(inside.partition("/")[0], []).append(outside)
    for port in ports:
        if isinstance(port, Mapping):
            template, target = port.get("published"), str(port.get("target"))
        else:
            # From the right: a default has a colon of its own.
            template, _, target = str(port).partition("/")[0].rpartition(":")
        if template and len(published.get(target, ())) == 1:
            yield str(template), published[target][0]
