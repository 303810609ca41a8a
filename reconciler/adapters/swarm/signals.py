"""Which ended tasks got a signal from outside. Effects: reads the engine's events.

After `docker stop`, an app that ends with 0 on SIGTERM leaves a task that reads as if it had ended by itself. Only the
events tell, of which the engine keeps the last 256 and none over a restart: what was found once is kept here.
"""

from collections.abc import Sequence

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.base import Json

_FILTERS = {"type": ["container"], "event": ["kill", "health_status"]}
_ENDED = ("complete", "failed")


class Signals:
    """What is known of one engine's containers; a call only where a task has ended that was not asked for."""

    def __init__(self, client: SwarmClient) -> None:
        self._client = client
        self._known: dict[str, bool] = {}

    def find(self, tasks: Sequence[Json], node_id: str) -> frozenset[str]:
        """Give the ids of ended tasks (`GET /tasks` entries) of this engine's node whose container was sent a signal.

        Raises:
            ObserveError: the engine did not tell.
        """
        ended = {raw["ID"]: _container_id(raw) for raw in tasks if _has_ended(raw) and raw.get("NodeID") == node_id}
        new = {container for container in ended.values() if container not in self._known}
        if new:
            # By the engine's own clock: one that lies in its future would keep the stream open until then.
            until = max(parse.instant(raw["Status"].get("Timestamp")) for raw in tasks if raw["ID"] in ended)
            signalled = self._ask(until.timestamp())
            self._known |= {container: container in signalled for container in new}
        return frozenset(task for task, container in ended.items() if self._known[container])

    def _ask(self, until: float) -> set[str]:
        signalled, unhealthy = set(), set()
        for event in self._client.events(since=1, until=until, filters=_FILTERS):
            container = (event.get("Actor") or {}).get("ID", "")
            action = event.get("Action", "")
            if action == "kill":
                signalled.add(container)
            elif action.endswith("unhealthy"):
                unhealthy.add(container)
        # Swarm stops what is unhealthy by the same signal.
        return signalled - unhealthy


def _has_ended(raw: Json) -> bool:
    return raw["Status"]["State"] in _ENDED and bool(_container_id(raw))


def _container_id(raw: Json) -> str:
    return str((raw["Status"].get("ContainerStatus") or {}).get("ContainerID", ""))
