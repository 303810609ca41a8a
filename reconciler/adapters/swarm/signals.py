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
_SLACK_S = 2.0
"""From the last signal to the end of the task, beyond the grace that the container has."""


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
        ended = [raw for raw in tasks if _has_ended(raw) and raw.get("NodeID") == node_id]
        new = [raw for raw in ended if _container_id(raw) not in self._known]
        if new:
            seen = {_container_id(raw): parse.task(raw) for raw in new}
            # By the engine's own clock: one that lies in its future would keep the stream open until then.
            last = self._ask(max(task.at for task in seen.values()).timestamp())
            for container, task in seen.items():
                # One that was told to read its settings anew (SIGHUP) an hour ago has ended by itself all the same.
                since = task.at.timestamp() - task.grace_s - _SLACK_S
                self._known[container] = last.get(container, 0.0) >= since
        return frozenset(raw["ID"] for raw in ended if self._known[_container_id(raw)])

    def _ask(self, until: float) -> dict[str, float]:
        """When the last signal was sent to each container, those left out that Swarm stops as they are unhealthy."""
        signalled: dict[str, float] = {}
        unhealthy = set()
        for event in self._client.events(since=1, until=until, filters=_FILTERS):
            container = (event.get("Actor") or {}).get("ID", "")
            action = event.get("Action", "")
            if action == "kill":
                signalled[container] = float(event.get("timeNano") or 0) / 1e9
            elif action.endswith("unhealthy"):
                unhealthy.add(container)
            else:
                unhealthy.discard(container)
        return {container: at for container, at in signalled.items() if container not in unhealthy}


def _has_ended(raw: Json) -> bool:
    return raw["Status"]["State"] in _ENDED and bool(_container_id(raw))


def _container_id(raw: Json) -> str:
    return str((raw["Status"].get("ContainerStatus") or {}).get("ContainerID", ""))
