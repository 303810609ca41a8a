"""The last words of a stack's containers on the engine that is asked, dead ones too. Effects: reads the engine."""

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.core.redact import LONGEST
from reconciler.model.base import Json
from reconciler.model.ids import StackName

_PER_SERVICE = 2
_NAME = "com.docker.swarm.service.name"


def last(client: SwarmClient, stack: StackName, lines: int) -> dict[str, str]:
    """Service -> what its newest containers said last, oldest first.

    Raises:
        ObserveError: the engine does not answer.
    """
    label = parse.of_stack(stack)
    by_service: dict[str, list[Json]] = {}
    for raw in client.read("containers", "containers", all=True, filters=label):
        name = str((raw.get("Labels") or {}).get(_NAME, "?")).removeprefix(f"{stack}_")
        by_service.setdefault(name, []).append(raw)
    found = {}
    for name, containers in sorted(by_service.items()):
        newest = sorted(containers, key=lambda raw: raw.get("Created", 0))[-_PER_SERVICE:]
        said = [client.find("logs", "logs", raw["Id"], stdout=True, stderr=True, tail=lines) for raw in newest]
        found[name] = b"\n".join(text[-LONGEST:] for text in said if text).decode("utf-8", "replace")
    return found
