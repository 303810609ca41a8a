"""Two services want one host port: who waits is not taken for forgotten, and waking changes no spec."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.change import lost_tasks
from reconciler.model.ids import StackName
from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    """The notes app has the port."""
    with engine_host(tmp_path / "host", "swarm") as made:
        made.release(V1)
        assert made.program.reconcile() == f"deployed:{V1}"
        yield made


@pytest.fixture
def waiting(host: EngineHost) -> Iterator[StackName]:
    """A stack whose one service wants the port too."""
    stack = StackName(f"waiting-{host.mark}")
    publish = f"mode=host,published={host.port},target=8080"
    subprocess.run(
        [
            "docker",
            "service",
            "create",
            "-d",
            "--name",
            f"{stack}_app",
            "--label",
            f"com.docker.stack.namespace={stack}",
            "--endpoint-mode",
            "dnsrr",
            "--publish",
            publish,
            host.images[0],
        ],
        check=True,
        capture_output=True,
    )
    yield stack
    subprocess.run(["docker", "service", "rm", f"{stack}_app"], check=True, capture_output=True)


def test_waiting_for_a_port_is_not_being_forgotten_and_waking_changes_no_spec(
    host: EngineHost, waiting: StackName
) -> None:
    engine = host.program.build().ports.engine
    assert isinstance(engine, SwarmEngine)
    until(lambda: lost_tasks.waiting(engine.observe_stack(waiting)), what="the service waits for the port")
    before = engine.observe_stack(waiting)
    world = engine.look()
    assert world.taken_ports is not None and host.port in world.taken_ports
    assert lost_tasks.free(before, world.taken_ports) == ()
    engine.wake(waiting, ["another"])
    assert engine.observe_stack(waiting).services[0].version_index == before.services[0].version_index
    engine.wake(waiting, ["app"])
    old = {task.id for task in before.tasks}
    until(lambda: {task.id for task in engine.observe_stack(waiting).tasks} - old, what="another task is tried")
    after = engine.observe_stack(waiting)
    assert after.services[0].spec_fingerprint == before.services[0].spec_fingerprint
    assert after.services[0].host_ports == {host.port}
    engine.undeploy(host.stack)

    def runs() -> bool:
        looked = engine.look()
        return any(task.state == "running" for task in looked.stack(waiting).tasks)

    until(runs, 30, "it has the port once no other task has")
