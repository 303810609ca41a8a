"""The daemon on a real Swarm: events, pruning, garbage collection."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.adapters.swarm.events import SwarmEvents
from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, V3, EngineHost, engine_host
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm") as made:
        # Only events can wake it within the test's time.
        made.set(daemon={"interval": "1h", "jitter": "0s"}, fetch_every="1h", disk={"every": "1h", "image_age": "0s"})
        made.release(V1, SCHEMA="1")
        yield made


def docker(*args: str) -> str:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True).stdout.strip()


def serves(host: EngineHost, version: str) -> bool:
    try:
        return host.observed.answer() == version
    except OSError:
        return False


def test_a_service_removed_by_hand_is_brought_back_because_an_event_said_so(host: EngineHost) -> None:
    with host.program.daemon():
        until(lambda: (host.state / host.name / "last_good").exists(), 60, "the first deploy")
        until(lambda: host.observed.log()[-1]["event"] == "pass", 30)
        docker("service", "rm", f"{host.stack}_app")
        until(lambda: len(host.observed.history()) == 2, 30, "the app is back")
        until(lambda: serves(host, "5.0.0"), 10)
    assert host.observed.history()[-1] == f"deployed:{V1}"
    host.observed.check()


def test_a_stream_that_ends_is_opened_again_and_misses_nothing(swarm: str) -> None:
    heard: list[str] = []
    stop = threading.Event()
    events = SwarmEvents(swarm, window_s=1)
    thread = threading.Thread(target=events.follow, args=(heard.append, stop.is_set), daemon=True)
    thread.start()
    until(lambda: events.streams >= 3, 30, "the engine ended two streams")
    image = "ci-warm-test/events:1"
    recipes.swarm_image(image, {"VERSION": "1"}, volume=False, label="events")
    try:
        name = f"ci-warm-events-{time.monotonic_ns()}"
        docker("service", "create", "--detach", "--no-resolve-image", "--replicas", "0", "--name", name, image)
        until(lambda: f"service {name} create" in heard, 20, "the event")
        docker("service", "rm", name)
        until(lambda: f"service {name} remove" in heard, 20, "the event")
    finally:
        stop.set()
        docker("image", "rm", "--force", image)
    thread.join(30)
    assert not thread.is_alive()


def test_an_engine_that_is_away_is_a_reason_to_look_and_not_the_end() -> None:
    heard: list[str] = []
    stop = threading.Event()
    events = SwarmEvents("unix:///nonexistent/docker.sock")
    thread = threading.Thread(target=events.follow, args=(heard.append, stop.is_set), daemon=True)
    thread.start()
    until(lambda: len(heard) >= 2, 20, "it goes on trying")
    stop.set()
    thread.join(20)
    assert set(heard) == {"the event stream broke"} and not thread.is_alive()


def test_what_known_good_and_the_way_back_need_survives_every_pruning(host: EngineHost) -> None:
    first = host.images[0]
    assert host.program.reconcile() == f"deployed:{V1}"
    second = host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    third = host.release(V3, SCHEMA="3")
    assert host.program.reconcile() == f"upgraded:{V2}->{V3}"
    engine = host.program.build().ports.engine
    assert isinstance(engine, SwarmEngine)
    # Everybody's pruning takes what is not pinned or running; ours is told apart by the images that must stay.
    docker("image", "prune", "--force")
    ran = subprocess.run(host.program.argv("gc", "--dry-run"), capture_output=True, text=True, timeout=120)
    assert f"would remove {first}" in ran.stdout, ran.stdout + ran.stderr
    assert second not in ran.stdout and third not in ran.stdout
    assert set(engine.observe_images([first, second, third])) == {first, second, third}
    ran = subprocess.run(host.program.argv("gc"), capture_output=True, text=True, timeout=120)
    assert f"removed {first}" in ran.stdout, ran.stdout + ran.stderr
    assert set(engine.observe_images([first, second, third])) == {second, third}
    engine.undeploy(host.stack)
    docker("image", "prune", "--all", "--force", "--filter", f"label=ci-warm.demo={host.mark}")
    assert set(engine.observe_images([second, third])) == {second, third}
    assert host.program.reconcile() == f"deployed:{V3}"
    back = host.program.argv("rollback", host.name, "--reason", "a test", "--yes")
    assert subprocess.run(back, timeout=120).returncode == 0
    assert host.observed.answer() == "5.0.1"
    host.observed.check()
