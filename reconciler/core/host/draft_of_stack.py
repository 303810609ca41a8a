"""The spec of a stack that runs, as far as it can be told from what the engine says and the recipe. Pure.

Called by `engine.operate.draft`, which reads both. Values of secrets are in neither: they stay in the Swarm.
"""

import re
from collections.abc import Mapping, Sequence

from reconciler.core import redact
from reconciler.core.release import data_places
from reconciler.core.release.compose import Mount
from reconciler.model.draft import Doubt
from reconciler.model.ids import stack_for
from reconciler.model.observed import ServiceObs, StackObs

_HOST = re.compile(r"Host\(\s*`([^`]+)`")
_RECIPE = re.compile(r"coop-cloud\..+\.recipe")
_MAIN = "app"
"""What the conventions call the service that people see."""


def find_recipe(stack: StackObs) -> str:
    """The recipe's name by its label; '' if no service says one."""
    found = {value for one in stack.services for key, value in one.labels.items() if _RECIPE.fullmatch(key)}
    return found.pop() if len(found) == 1 else ""


def find_domains(stack: StackObs, name: str) -> tuple[str, ...]:
    """Domains of the stack's Traefik rules, the likeliest one to be its own first."""
    found: dict[str, None] = {}
    for service in sorted(stack.services, key=lambda one: (one.name != _MAIN, one.name)):
        for key, value in sorted(service.labels.items()):
            if key.startswith("traefik.http.routers.") and key.endswith(".rule"):
                found |= dict.fromkeys(_HOST.findall(value))
    return tuple(sorted(found, key=lambda domain: str(stack_for(domain)) != name))


def find_port(stack: StackObs) -> int | None:
    """The one TCP port that the main service publishes; None if there is none, or more than one."""
    service = stack.service(_MAIN) or (stack.services[0] if len(stack.services) == 1 else None)
    told = service.told.get("ports") if service is not None else None
    ports = [str(text).partition(":")[0] for text in told if "/tcp " in str(text)] if isinstance(told, list) else []
    return int(ports[0]) if len(ports) == 1 and ports[0].isdigit() and ports[0] != "0" else None


def find_secrets(stack: StackObs, name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Secrets of the stack's services: version by name, and those that are not named `<stack>_<name>_<version>`."""
    form = re.compile(rf"{re.escape(name)}_([a-z0-9](?:[a-z0-9_]{{0,30}}[a-z0-9])?)_([a-z0-9]{{1,12}})")
    found, others = dict[str, str](), list[str]()
    # Told with place, owner and mode (`adapters.swarm.told`).
    told = {text.partition(" ")[0] for one in stack.services for text in _listed(one, "secrets")}
    for secret in sorted(told):
        parts = form.fullmatch(secret)
        if parts is None:
            others.append(secret)
        else:
            found[parts[1]] = parts[2]
    return found, tuple(others)


def keeps_data(stack: StackObs) -> bool:
    """Whether a service has a volume, or writes to a place of the host."""
    return any(_is_data(mount) for one in stack.services for mount in _listed(one, "mounts"))


def _is_data(text: str) -> bool:
    kind, source, target, *more = text.split(" ")
    return kind == "volume" or data_places.is_kept_by_host(Mount(kind, source, target, more == ["ro"]))


def _listed(service: ServiceObs, key: str) -> Sequence[str]:
    told = service.told.get(key)
    return [str(item) for item in told] if isinstance(told, list) else []


def doubt_env(env: Mapping[str, str]) -> list[Doubt]:
    """Variables whose names sound secret: their values stand in the file and nowhere else."""
    named = sorted(name for name in env if redact.sounds_secret(name))
    text = "sounds secret: its value stands in this file, which only its owner can read"
    return [Doubt(key="env", text=f"{name} {text}") for name in named]


def doubt_secrets(versions: Mapping[str, str], others: Sequence[str]) -> list[Doubt]:
    """What is not known of secrets that are there."""
    found = [
        Doubt(key="secrets", text=f"{name}: the value stays in the Swarm; should it ever be gone, a new one is made")
        for name in versions
    ]
    form = "is not named <stack>_<name>_<version>, so the recipe must name it as external"
    return found + [Doubt(key="", text=f"secret {name} {form}") for name in others]
