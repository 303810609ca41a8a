"""What Swarm has told to stop is stopped at once; nothing else is, and nothing twice."""

import threading
from typing import Any

from reconciler.adapters.swarm.containers import Hastener
from reconciler.model.errors import ActError
from reconciler.model.observed import ContainerObs, StackObs, TaskObs
from tests.builders import NOW
from tests.waiting import until


class Client:
    """Notes what it is asked to stop."""

    def __init__(self) -> None:
        self.stopped: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def write(self, what: str, method: str, container: str, timeout: int) -> None:
        assert (what, method) == ("stop container", "stop")
        with self._lock:
            self.stopped.append((container, timeout))
        if container == "stubborn":
            raise ActError("the engine did not confirm it", host_fault=True)


def task(name: str, desired: str, grace_s: int = 10) -> TaskObs:
    return TaskObs(
        id=name,
        service_id="app",
        state="running",
        desired_state=desired,
        template_fingerprint="",
        at=NOW,
        grace_s=grace_s,
    )


def test_only_what_is_to_stop_is_stopped_once_and_with_its_own_grace() -> None:
    client: Any = Client()
    seen = StackObs(
        tasks=(
            task("old", "shutdown", 37),
            task("new", "running"),
            task("gone", "shutdown"),
            task("odd", "remove"),
        ),
        containers=(
            ContainerObs(id="doomed", task_id="old", state="running"),
            ContainerObs(id="fresh", task_id="new", state="running"),
            ContainerObs(id="dead", task_id="gone", state="exited"),
            ContainerObs(id="stubborn", task_id="odd", state="running"),
            ContainerObs(id="foreign", task_id="of no task", state="running"),
        ),
    )
    hastener = Hastener(client)
    for _ in range(3):
        hastener.hasten(seen)
    until(lambda: len(client.stopped) == 2)
    assert sorted(client.stopped) == [("doomed", 37), ("stubborn", 10)]
