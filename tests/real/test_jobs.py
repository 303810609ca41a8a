"""Services that must complete, beside a main one, on a real engine: settling waits for them and hears what they say."""

import json
import time
from typing import Any

import pytest

from reconciler.adapters import process
from reconciler.demo import recipes
from reconciler.model.observed import StackObs
from tests.hosts.engine_host import V1, V2, V3, EngineHost
from tests.real.scenes import need_job_modes
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]
_WORKS_S = 4.0
_WORKS = ["sh", "-c", f"sleep {_WORKS_S:g}; echo migrated"]
_FAILS = ["sh", "-c", "sleep 1; echo password=hunter2-of-notes; echo no such column: author; exit 3"]
SHAPES: dict[str, Any] = {
    "none": {"restart_policy": {"condition": "none"}},
    "none on each node": {"mode": "global", "restart_policy": {"condition": "none"}},
    "replicated-job": {"mode": "replicated-job", "replicas": 2},
    "global-job": {"mode": "global-job"},
    "listed": {"restart_policy": {"condition": "on-failure", "delay": "200ms"}},
}


@pytest.fixture(autouse=True)
def _job_modes(request: pytest.FixtureRequest) -> None:
    if "-job" in request.node.name or "after_the_commit" in request.node.name:
        need_job_modes()


def compose(command: list[str], deploy: dict[str, Any]) -> str:
    """The notes app with a job that runs beside it."""
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    document["services"]["migrate"] = {
        "image": "IMAGE",
        "command": command,
        "networks": ["internal"],
        "deploy": {"endpoint_mode": "dnsrr", **deploy},
    }
    return json.dumps(document)


def release(host: EngineHost, tag: str, command: list[str], shape: str) -> None:
    if shape == "listed":
        host.health["jobs"] = ["migrate"]
        host.write_spec()
    host.release(tag, compose=compose(command, SHAPES[shape]))


@pytest.mark.parametrize("shape", SHAPES)
def test_settling_waits_until_a_job_completed(shape: str, host: EngineHost) -> None:
    release(host, V2, _WORKS, shape)
    began = time.monotonic()
    outcome = host.program.outcome()
    assert str(outcome.result) == f"upgraded:{V1}->{V2}", outcome.evidence
    assert time.monotonic() - began > _WORKS_S
    stack = host.program.build().ports.engine.observe_stack(host.stack)
    migrate = stack.service("migrate")
    assert migrate is not None
    assert {one.state for one in stack.tasks_of(migrate)} == {"complete"}
    assert host.program.reconcile() == "noop-healthy"


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "listed"])
def test_a_failed_job_is_a_failure_at_once_with_its_last_words(shape: str, host: EngineHost) -> None:
    release(host, V2, _FAILS, shape)
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    [alert] = host.observed.alerts()
    told = "\n".join(alert.evidence)
    assert "job migrate failed with exit code 3" in told
    assert "no such column: author" in told
    assert "hunter2" not in told
    assert host.observed.notes() == "first note\nsecond note\n"


def test_a_job_that_fails_after_the_commit_is_told(host: EngineHost) -> None:
    """A scheduler starts it again, and it fails."""
    document = json.loads(compose(["sh", "-c", "[ ! -e /data/fails ]"], SHAPES["replicated-job"]))
    document["services"]["migrate"]["volumes"] = ["data:/data"]
    host.release(V3, compose=json.dumps(document))
    assert host.program.reconcile() == f"upgraded:{V1}->{V3}"
    (host.observed.data() / "fails").touch()
    host.program.build().ports.engine.wake(host.stack, ["migrate"])
    until(lambda: host.program.reconcile() == f"unhealthy:{V3}", 60, "the failed job is told")
    [alert] = host.observed.alerts()
    assert any("job migrate" in text for text in alert.evidence)


def test_what_a_scheduler_starts_is_no_drift_and_is_left_to_end(host: EngineHost) -> None:
    deploy = {**SHAPES["none"], "replicas": 0, "labels": {"swarm.cronjob.enable": "true"}}
    host.release(V2, compose=compose(["sleep", "8"], deploy))
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    engine = host.program.build().ports.engine
    docker("service", "scale", "--detach", f"{host.stack}_migrate=1")
    until(lambda: _states(engine.observe_stack(host.stack)) == {"running"}, 20, "the scheduled job runs")
    assert host.program.reconcile() == f"converging:{V2}"
    assert _states(engine.observe_stack(host.stack)) == {"running"}
    until(lambda: _states(engine.observe_stack(host.stack)) == {"complete"}, 20, "it ends by itself")
    assert host.program.reconcile() == "noop-healthy"


def _states(stack: StackObs) -> set[str]:
    migrate = stack.service("migrate")
    return {one.state for one in stack.tasks_of(migrate)} if migrate else set()


def docker(*args: str) -> None:
    ran = process.run(["docker", *args], timeout_s=60)
    assert ran.code == 0, ran.output
