"""Two engines as one Swarm: a manager and a worker, each in a network namespace, with a cable between them. Effects:
root, namespaces, processes.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import clear_folder, missing
from tests.engines.machine import Machine, docker_host_is, end_orphans, run
from tests.waiting import until

_MANAGER, _WORKER = "192.0.2.1", "192.0.2.2"
"""Addresses for documentation: nobody else's on this machine."""


@dataclass(frozen=True)
class Pair:
    """`manager` is where ci-warm runs."""

    manager: Machine
    worker: Machine

    def join(self) -> None:
        """Have the worker in the Swarm."""
        token = self.manager.docker("swarm", "join-token", "-q", "worker")
        self.worker.docker("swarm", "join", "--token", token, "--advertise-addr", _WORKER, f"{_MANAGER}:2377")
        until(lambda: self._states() == ["Ready", "Ready"], 60, "both nodes are ready")

    def leave(self) -> None:
        """Have the manager alone."""
        node = self.node(self.worker)
        self.worker.docker("swarm", "leave")
        self.manager.docker("node", "rm", "--force", node)

    def _states(self) -> list[str]:
        return self.manager.docker("node", "ls", "--format", "{{.Status}}").split()

    def node(self, machine: Machine) -> str:
        """Its id in the Swarm."""
        return machine.docker("info", "--format", "{{.Swarm.NodeID}}")

    def give_image(self, reference: str) -> None:
        """Have an image of the manager's on the worker, too."""
        archive = self.manager.folder / "image.tar"
        self.manager.docker("save", "--output", str(archive), reference)
        self.worker.docker("load", "--input", str(archive))
        archive.unlink()

    def runs_on(self, service: str) -> list[str]:
        """Ids of the nodes that a service's tasks run on."""
        found = self.manager.docker("service", "ps", service, "--filter", "desired-state=running", "-q").split()
        tasks = json.loads(self.manager.docker("inspect", *found)) if found else []
        return [task["NodeID"] for task in tasks if task["Status"]["State"] == "running"]


@contextlib.contextmanager
def pair(version: str, *shared: Path) -> Iterator[Pair]:
    """The Swarm; what tests mount into containers has to be in `shared`."""
    if os.geteuid() != 0:
        missing("machines of their own need root")
    manager, worker = (Machine(version=version, shared=shared) for _ in range(2))
    made = (manager, worker)
    try:
        _connect(made)
        for one in made:
            one.start()
        manager.docker("swarm", "init", "--advertise-addr", _MANAGER, "--listen-addr", f"{_MANAGER}:2377")
        made_pair = Pair(manager=manager, worker=worker)
        made_pair.join()
        with docker_host_is(manager.host):
            yield made_pair
    finally:
        for one in reversed(made):
            one.stack.close()
            end_orphans(one.folder)
            run("ip", "netns", "del", one.space, check=False)
            clear_folder(one.folder)


def _connect(made: Sequence[Machine]) -> None:
    """A cable from the one to the other."""
    one, other = made
    for machine in made:
        run("ip", "netns", "add", machine.space)
        run("ip", "-n", machine.space, "link", "set", "lo", "up")
    run("ip", "-n", one.space, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other.space)
    for machine, address in ((one, _MANAGER), (other, _WORKER)):
        run("ip", "-n", machine.space, "address", "add", f"{address}/24", "dev", "cable")
        run("ip", "-n", machine.space, "link", "set", "cable", "up")
