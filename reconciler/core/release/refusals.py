"""Would Docker refuse this release? Told with file, place and Docker's own words, before the app is touched. Pure.

Three sources: the deploy tool itself where it can be asked (`docker stack config`), else our own table of its shapes,
and the rules by which tool and engine refuse later what has the right shape.
"""

import re
from collections.abc import Mapping, Sequence

from reconciler.core.release import compose, compose_schema, engine_rules
from reconciler.model.health import HealthSpec
from reconciler.model.recipe import Refusal, Rendered

_PLACE = re.compile(r"((?:services|networks|volumes|configs|secrets)\.\S+|version|\(root\))[: ]\s*(.+)", re.DOTALL)
_DEPTH = 5
"""How deep a document's keys are noted with the file they come from: services.NAME.deploy.resources.limits."""


def find_refusals(
    rendered: Rendered, stack: str, said: Sequence[str] | None, modes: Mapping[str, str] | None = None
) -> tuple[Refusal, ...]:
    """Everything that would be refused, each once.

    `said`: by the deploy tool, None: it cannot be asked. `modes`: of the services that would be updated in place.
    """
    doc = rendered.doc
    found = [_parse(text) for text in said] if said is not None else list(compose_schema.find_problems(doc))
    if not found:  # what has no shape has no meaning either, and would be told twice
        found = list(engine_rules.find_problems(doc, stack, rendered.files))
        found += engine_rules.find_mode_changes(doc, modes or {})
    return tuple(
        Refusal(file=_file_of(place, rendered.places), place=place, says=says) for place, says in dict.fromkeys(found)
    )


def names_place(text: str) -> bool:
    """Say whether a complaint of the deploy tool tells where in the document it is."""
    return _PLACE.fullmatch(text.strip()) is not None


def _parse(text: str) -> tuple[str, str]:
    """Place and words of one complaint; the tool puts them into one line."""
    found = _PLACE.fullmatch(text.strip())
    return (found[1].rstrip(":"), found[2]) if found else ("", text.strip())


def _file_of(place: str, places: Mapping[str, str]) -> str:
    """The last file that says anything of that place, or of what it lies in."""
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        file = places.get(".".join(parts[:length]))
        if file is not None:
            return file
    return ", ".join(dict.fromkeys(places.values()))


def note_places(places: dict[str, str], document: Mapping[str, object], file: str, at: str = "") -> None:
    """Note for every key of a document that this file is the last to set it."""
    for key, value in document.items():
        place = f"{at}.{key}" if at else str(key)
        places[place] = file
        if isinstance(value, Mapping) and place.count(".") < _DEPTH:
            note_places(places, value, file, place)


def check_health(doc: Mapping[str, object], health: HealthSpec) -> None:
    """Refuse `health` settings that could never be fulfilled: the app would be taken down to wait for them in vain.

    Raises:
        ComposeError: a service that is not there, or that Swarm starts again whatever it ends with.
    """
    services = compose.services(doc)
    for check in health.checks:
        if check.exec is not None and check.exec.service not in services:
            raise compose.ComposeError(f"health.checks.{check.name}: there is no service {check.exec.service}")
    for name in health.jobs:
        if name not in services:
            raise compose.ComposeError(f"health.jobs: there is no service {name} in the release")
        if compose.restart_condition(services[name]) == "any":
            raise compose.ComposeError(
                f"health.jobs: service {name} is started again whatever it ends with; it needs"
                f" services.{name}.deploy.restart_policy.condition: on-failure"
            )
