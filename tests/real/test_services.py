"""Services are taken down in an order that Engine 20.10 survives (docs/adr/0013), seen on the real one."""

import json
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters import process
from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm import services as swarm_services
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.change import safe_removal
from reconciler.demo import recipes
from reconciler.model.ids import StackName
from reconciler.model.observed import TaskObs
from reconciler.model.settings import Limits
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]
_LIMIT = 5
_FAST: dict[str, Any] = {"restart_policy": {"delay": "100ms"}}
_LOOPS = ["sh", "-c", "sleep 0.2; exit 1"]
_SERVES = ["sh", "-c", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done"]


class Watching(SwarmClient):
    """Notes at each removal of a service what Swarm was to delete of it in that moment."""

    found: list[tuple[str, bool]]

    def write(self, what: str, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        if method == "remove_service":
            raw = self.find("service", "inspect_service", args[0])
            tasks = [parse.task(one) for one in self.read("tasks", "tasks", filters={"service": args[0]})]
            self.found.append((raw["Spec"]["Name"].partition("_")[2], safe_removal.being_deleted(tasks, _LIMIT)))
        return super().write(what, method, *args, **kwargs)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[StackName]:
    """Two services that never stay up, one of them global, and one that does."""
    name = StackName(f"loops-{uuid.uuid4().hex[:8]}")
    image = f"{name}:1"
    recipes.swarm_image(image, {}, volume=False, label=name)
    services = {
        "loops": (_LOOPS, _FAST),
        "everywhere": (_LOOPS, {**_FAST, "mode": "global"}),
        "serves": (_SERVES, {"restart_policy": {"condition": "any"}}),
    }
    document = {
        "version": "3.8",
        "services": {
            service: {
                "image": image,
                "command": command,
                "stop_grace_period": "9s",
                "deploy": {"endpoint_mode": "dnsrr", **deploy},
            }
            for service, (command, deploy) in services.items()
        },
    }
    compose = tmp_path / "compose.json"
    compose.write_text(json.dumps(document))
    docker("stack", "deploy", "--resolve-image", "never", "-c", str(compose), name)
    yield name
    docker("stack", "rm", name)
    label = f"label=com.docker.stack.namespace={name}"
    until(lambda: not docker("ps", "-aq", "--filter", label), 60, "the stack's containers are gone")
    docker("image", "rm", "--force", image)


def docker(*args: str) -> str:
    ran = process.run(["docker", *args], timeout_s=60)
    assert ran.code == 0, ran.output
    return ran.output.strip()


def test_no_service_is_removed_while_swarm_deletes_tasks_of_it(swarm: str, stack: StackName) -> None:
    client = Watching(swarm, 20.0)
    client.found = []

    def restless() -> bool:
        tasks = client.read("tasks", "tasks", filters=parse.of_stack(stack))
        of = defaultdict[str, list[TaskObs]](list)
        for task in map(parse.task, tasks):
            of[task.service_id].append(task)
        return sum(not safe_removal.is_calm(ones, _LIMIT, datetime.now(UTC)) for ones in of.values()) == 2

    until(restless, 60, "two services have restarted often")
    swarm_services.take_down(client, stack, swarm_services.services(client, stack))
    assert client.found[0] == ("serves", False)
    assert sorted(client.found[1:]) == [("everywhere", False), ("loops", False)]
    assert swarm_services.services(client, stack) == []
    # One that was about to start when its service was halted may start yet, and ends by itself.
    label = parse.of_stack(stack)
    until(lambda: client.read("containers", "containers", filters=label) == [], 10, "nothing runs")


def test_what_a_killed_undeploy_left_running_is_stopped_with_its_own_grace(swarm: str, stack: StackName) -> None:
    """Its service is gone; its task still says how long it may take."""
    engine, label = SwarmEngine(swarm, Limits(), stray_grace_s=0), f"label=com.docker.stack.namespace={stack}"
    mine = ("--filter", label, "--filter", f"label=com.docker.swarm.service.name={stack}_serves")
    container = until(lambda: docker("ps", "-q", *mine), 30, "the service runs")
    stray = docker("run", "--detach", "--label", label.removeprefix("label="), f"{stack}:1", *_SERVES)
    argv = ["docker", "wait", container]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as waiting:
        docker("service", "rm", f"{stack}_serves")
        began = time.monotonic()
        engine.undeploy(stack)
        assert waiting.communicate(timeout=30)[0].strip() == "0"
    assert time.monotonic() - began < 10.0
    assert docker("inspect", "--format", "{{.State.Status}}", stray) == "exited"
    docker("rm", stray)
