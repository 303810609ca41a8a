"""Stops what Swarm has already told to stop: its agent takes about 3.4 s to hear of it. Effects: containers' ends.

Only containers of the engine that is asked whose task is to shut down, each with its own grace: as the agent would do.
"""

import threading

from reconciler.adapters.swarm.client import SwarmClient
from reconciler.model.errors import ActError
from reconciler.model.observed import StackObs

_DOOMED = ("shutdown", "remove")


class Hastener:
    """Stops each doomed container once, beside the caller, who goes on watching."""

    def __init__(self, client: SwarmClient) -> None:
        self._client = client
        self._asked: set[str] = set()

    def hasten(self, seen: StackObs) -> None:
        """Stop what of this look is to stop; what cannot be stopped is the agent's matter."""
        doomed = {task.id: task.grace_s for task in seen.tasks if task.desired_state in _DOOMED}
        found = [c for c in seen.containers if c.state == "running" and c.task_id in doomed and c.id not in self._asked]
        for container in found:
            # Once per container: a second stop would start its grace anew.
            self._asked.add(container.id)
            # The engine answers a stop only when the container has ended, and settling must go on looking
            # meanwhile.
            threading.Thread(target=self._stop, args=(container.id, doomed[container.task_id]), daemon=True).start()

    def _stop(self, container: str, grace_s: int) -> None:
        try:
            self._client.write("stop container", "stop", container, timeout=grace_s)
        except ActError:
            return  # the agent stops it, as it would have without us
