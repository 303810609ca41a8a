"""Whom real failures on a real engine are laid on: data is taken back only for what the release itself did."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.machine import OWN, Machine, machine
from tests.hosts.engine_host import HEALTH, V1, V2, EngineHost, engine_host
from tests.real.scenes import kill, reconcile
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.long, pytest.mark.timeout(600), pytest.mark.together("machines")]
NEWEST, BOTH = ["28"], [OWN, "28"]
"""What Docker does to tasks was the same on both; where only ci-warm is tried, one will do."""


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with machine(request.param) as made:
        yield made


@pytest.fixture
def host(engine: Machine, tmp_path: Path) -> Iterator[EngineHost]:
    extra = {"upgrade": {"bake": "10m"}}
    with engine_host(tmp_path / "host", "swarm", executable=engine.executable, extra=extra) as made:
        made.set(docker_host=engine.host, limits={"call": "2s", "steady_probe": "2s"})
        made.release(V1)
        assert reconcile(made) == f"deployed:{V1}"
        yield made
        made.observed.check()


def upgrade(host: EngineHost, **env: str) -> None:
    """Take V2, and let people work with it."""
    host.release(V2, **{"SCHEMA": "2", "TERM_CODE": "143", **env})
    assert reconcile(host) == f"upgraded:{V1}->{V2}"
    with (host.observed.data() / "notes.txt").open("a") as notes:
        notes.write("what people wrote since\n")


def pass_until(host: EngineHost, wanted: str, seconds: float = 90) -> list[str]:
    """Pass after pass until one ends so; all results."""
    found: list[str] = []

    def once() -> bool:
        found.append(reconcile(host))
        return found[-1].startswith(wanted)

    try:
        until(once, seconds, wanted)
    except AssertionError as exc:
        raise AssertionError(f"{exc}; there came {found[-5:]}") from exc
    return found


def assert_kept(host: EngineHost, results: list[str]) -> None:
    """V2 still runs on what people wrote."""
    assert not [result for result in results if "rolled" in result or "rollback" in result], results
    assert "what people wrote since" in host.observed.notes()
    assert host.observed.known() == V2
    memory = json.loads((host.state / host.name / "memory.json").read_text())
    assert memory["quarantine"] == []


def drain_for_a_while(engine: Machine, host: EngineHost) -> None:
    engine.drain()
    until(lambda: reconcile(host).startswith("unhealthy"), 60, "the drained app is told")
    [alert] = host.observed.alerts()
    assert any("no node takes tasks" in text for text in alert.evidence)
    engine.activate()


def freeze(engine: Machine, host: EngineHost) -> None:
    with engine.frozen():
        assert reconcile(host) == "unknown"


HARM: dict[str, Callable[[Machine, EngineHost], None]] = {
    "the engine is restarted": lambda engine, _: engine.restart(),
    "the engine is killed": lambda engine, _: engine.restart(signal.SIGKILL),
    "the node is drained for a while": drain_for_a_while,
    "the engine is frozen": freeze,
    "somebody kills a container": kill,
}


@pytest.mark.parametrize("engine", BOTH, indirect=True)
@pytest.mark.parametrize("harm", HARM)
def test_a_good_release_is_kept_whatever_happens_to_the_engine_in_its_bake_watch(
    harm: str, engine: Machine, host: EngineHost
) -> None:
    upgrade(host)
    HARM[harm](engine, host)
    results = pass_until(host, "noop-healthy" if "container" not in harm else "converging")
    assert_kept(host, results)


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
def test_a_typing_error_in_the_health_path_costs_no_data(host: EngineHost) -> None:
    upgrade(host)
    host.write_spec(health={**json.loads(spec_of(host).read_text())["health"], "path": "/typo"})
    result = reconcile(host)
    assert result == f"unhealthy:{V2}"
    [alert] = host.observed.alerts()
    assert any("health settings of the spec have changed" in text for text in alert.evidence)
    host.write_spec()
    assert_kept(host, [result, reconcile(host)])


def spec_of(host: EngineHost) -> Path:
    return host.home / "etc" / "apps" / f"{host.name}.yaml"


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
def test_a_release_that_answers_for_a_while_and_fails_again_and_again_goes_back(host: EngineHost) -> None:
    """Most single looks see it well; its history does not."""
    upgrade(host, FAIL="late", LATE_S="7")
    results = pass_until(host, "rolled-back", 180)
    assert set(results[:-1]) <= {f"converging:{V2}", "noop-healthy"}
    assert host.observed.known() == V1
    assert host.observed.notes() == "first note\nsecond note\n"
    [alert] = [one for one in host.observed.alerts() if one.reason == "rollback"]
    assert "app said last: failing late, as told" in alert.evidence
    assert any("non-zero exit (3)" in text for text in alert.evidence), "how it ended, too"
    line = list(host.program.build().history.lines())[-1]
    assert "failing late, as told" in (host.state / line.log).read_text()


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
def test_a_late_pass_still_takes_back_what_was_never_well(host: EngineHost) -> None:
    host.write_spec(upgrade={"bake": "30s"})
    upgrade(host, FAIL="late", LATE_S="7")
    until(lambda: len(failed_tasks(host)) >= 4, 120, "it failed three times, and no pass looked")
    assert pass_until(host, "rolled-back", 30)[-1] == f"rolled-back:{V2}->{V1}"


def failed_tasks(host: EngineHost) -> list[Any]:
    stack = host.program.build().ports.engine.observe_stack(host.stack)
    return [task for task in stack.tasks if task.state == "failed"]


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
def test_after_the_bake_watch_a_loop_is_one_alert_that_stays_open(host: EngineHost) -> None:
    host.write_spec(upgrade={"bake": "1s"})
    host.release(V2, SCHEMA="2")
    assert reconcile(host) == f"upgraded:{V1}->{V2}"
    pass_until(host, "noop-healthy")
    (host.observed.data() / "fail-late").write_text("5")
    kill_all(host)
    pass_until(host, f"unhealthy:{V2}", 120)
    raised = host.observed.alerts()[0].first_at
    for _ in range(8):  # some of these looks see it running and answering
        assert reconcile(host) == f"unhealthy:{V2}"
    [alert] = host.observed.alerts()
    assert alert.first_at == raised
    assert host.observed.known() == V2


def kill_all(host: EngineHost) -> None:
    found = host.program.build().ports.engine.observe_stack(host.stack).containers
    for container in found:
        if container.state == "running":
            argv = ["docker", "--host", docker_host(host), "kill", container.id]
            subprocess.run(argv, check=True, capture_output=True)


def docker_host(host: EngineHost) -> str:
    return str(json.loads(host.program.config.read_text())["docker_host"])


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
@pytest.mark.parametrize("step", ["settle", "verify"])
@pytest.mark.parametrize("how", ["restarted", "killed", "frozen"])
def test_an_engine_that_fails_in_mid_upgrade_makes_no_release_guilty(
    how: str, step: str, engine: Machine, host: EngineHost
) -> None:
    slow = {"min_healthy": "3s", "successes": 6, "interval": "500ms", "deadline": "60s"}
    host.write_spec(health={**HEALTH, "port": host.port, **slow})
    host.release(V2, SCHEMA="2", TERM_CODE="143")
    with subprocess.Popen(
        host.program.argv("reconcile"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        until(lambda: step_of(host) == step, 60, f"step {step}")
        if how == "frozen":
            with engine.frozen():
                engine.pause(12)
        else:
            engine.restart(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        child.wait(180)
    results = pass_until(host, "noop-healthy", 120)
    assert host.observed.history()[-1] == f"upgraded:{V1}->{V2}", results
    assert host.observed.known() == V2
    assert host.observed.alerts() == []


@pytest.mark.parametrize("engine", BOTH, indirect=True)
def test_a_container_that_is_stopped_while_it_settles_makes_no_release_guilty(
    engine: Machine, host: EngineHost
) -> None:
    """`docker stop` of an app that ends in order: its task alone reads as if it had ended by itself."""
    slow = {"min_healthy": "5s", "successes": 6, "interval": "500ms", "deadline": "60s"}
    host.write_spec(health={**HEALTH, "port": host.port, **slow})
    host.release(V2, SCHEMA="2", TERM_CODE="0")
    label = f"label=com.docker.stack.namespace={host.stack}"
    with subprocess.Popen(
        host.program.argv("reconcile"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        until(
            lambda: step_of(host) == "settle" and engine.docker("ps", "-q", "--filter", label) != "", 60, "it settles"
        )
        engine.docker("stop", engine.docker("ps", "-q", "--filter", label))
        child.wait(180)
    assert host.observed.history()[-1] == f"upgraded:{V1}->{V2}"
    assert host.observed.alerts() == []
    ended = [task for task in host.program.build().ports.engine.observe_stack(host.stack).tasks if task.signalled]
    assert [task.exit_code for task in ended] == [0]


def step_of(host: EngineHost) -> str:
    try:
        return str(json.loads((host.state / host.name / "journal.json").read_text())["step"])
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("engine", NEWEST, indirect=True)
def test_a_release_that_exits_at_once_is_still_told_at_once(host: EngineHost) -> None:
    host.release(V2, FAIL="before")
    assert reconcile(host) == f"rolled-back:{V2}->{V1}"
    assert reconcile(host) == f"held-quarantined:{V1}->{V2}"
