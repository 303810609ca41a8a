"""What hands do to an app with data on a real Swarm: nothing older comes to what they may have migrated."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(240)]


@pytest.fixture
def host(swarm: str, tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm") as made:
        yield made


def docker(*words: str, stdin: str | None = None) -> str:
    ran = subprocess.run(["docker", *words], capture_output=True, text=True, input=stdin, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def document() -> str:
    """The recipe's compose file."""
    return recipes.compose("IMAGE", stateful=True)


@pytest.mark.parametrize("by", ["service update", "stack deploy"])
def test_a_release_that_a_hand_put_there_is_left_alone(by: str, host: EngineHost) -> None:
    """It has migrated the data; by its labels it is still V1, or nothing at all."""
    host.release(V1)
    host.deploy_first()
    newer = host.image("5.0.1", SCHEMA="2")
    if by == "service update":
        docker("service", "update", "--quiet", "--detach=false", "--image", newer, f"{host.stack}_app")
    else:
        made = json.loads(document().replace("IMAGE", newer).replace("${PUBLISHED_PORT}", str(host.port)))
        made["services"]["app"]["ports"][0]["published"] = host.port
        made["services"]["app"]["deploy"]["labels"] = {}
        made["services"]["app"]["environment"] = []
        docker("stack", "deploy", "--compose-file", "-", str(host.stack), stdin=json.dumps(made))
    until(lambda: "5.0.1" in host.observed.heard(), 60, "the newer one runs")
    before = docker("service", "inspect", f"{host.stack}_app", "--format", "{{json .Spec}}")
    for _ in range(2):
        assert host.program.reconcile().startswith("unmanaged:")
    assert docker("service", "inspect", f"{host.stack}_app", "--format", "{{json .Spec}}") == before
    assert "5.0.1" in host.observed.heard()


def test_a_way_back_whose_secret_is_gone_is_refused_before_anything_is_touched(host: EngineHost) -> None:
    made = json.loads(document())
    made["services"]["app"]["secrets"] = ["key"]
    made["secrets"] = {"key": {"external": True, "name": "${STACK_NAME}_key_${SECRET_KEY_VERSION}"}}
    host.write_spec(secrets={"key": {"version": "v1"}}, env={"SECRET_KEY_VERSION": "v1"})
    host.release(V1, compose=json.dumps(made))
    host.deploy_first()
    host.write_spec(secrets={"key": {"version": "v2"}}, env={"SECRET_KEY_VERSION": "v2"})
    host.release(V2, compose=json.dumps(made), SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    docker("secret", "rm", f"{host.stack}_key_v1")
    told = host.program.command("preflight", host.name)
    assert told.returncode != 0 and f"secret {host.stack}_key_v1 does not exist" in told.stdout + told.stderr
    ran = host.program.command("rollback", host.name, "--reason", "x", "--yes")
    assert ran.returncode != 0 and "nothing touched" in ran.stderr, ran.stderr
    assert "5.0.1" in host.observed.heard()
    assert host.program.reconcile() == "noop-healthy"
    docker("secret", "create", f"{host.stack}_key_v1", "-", stdin="x" * 20)  # `clear` takes it away with the stack


def test_a_paused_container_makes_no_release_guilty(host: EngineHost) -> None:
    """Within its bake watch, in which a release that does not answer goes back."""
    host.set(limits={"steady_probe": "1s"})
    host.write_spec(upgrade={"bake": "10m"})
    host.release(V1)
    host.deploy_first()
    host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    users = host.observed.data() / "users"
    users.write_text("a minute of work\n")
    container = docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}")
    docker("pause", container)
    try:
        assert host.program.reconcile() == f"unhealthy:{V2}"
        [alert] = host.observed.alerts()
        assert "paused" in " ".join(alert.evidence)
    finally:
        docker("unpause", container)
    assert host.program.reconcile() == "noop-healthy"
    assert users.exists()


def test_a_heal_starts_no_second_writer(host: EngineHost) -> None:
    """A service without a port of the node, whose recipe starts the new task before the old one ends."""
    made = json.loads(document())
    writer = json.loads(json.dumps(made["services"]["app"]))
    del writer["ports"], made["services"]["app"]["volumes"]
    writer["deploy"]["update_config"] = {"order": "start-first"}
    made["services"]["db"] = writer
    host.release(V1, compose=json.dumps(made))
    host.deploy_first()
    service = f"{host.stack}_db"
    docker(
        "service", "update", "--quiet", "--detach=false", "--update-order", "stop-first", "--env-add", "A=B", service
    )
    (host.observed.data() / "OVERLAP").unlink(missing_ok=True)
    assert host.program.reconcile() == f"healed:{V1}"
    assert not (host.observed.data() / "OVERLAP").exists(), "two writers at once"


@pytest.mark.parametrize("mode", ["global", "replicated"])
def test_a_release_that_fits_no_node_is_not_quarantined(mode: str, host: EngineHost) -> None:
    """A label was forgotten on the node: nothing is wrong with the release."""
    host.set(limits={"pending": "2s"})
    host.release(V1)
    host.deploy_first()
    made = json.loads(document())
    made["services"]["app"]["deploy"] |= {"mode": mode, "placement": {"constraints": ["node.labels.disk==fast"]}}
    host.release(V2, compose=json.dumps(made), SCHEMA="2")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    memory = json.loads((host.state / host.name / "memory.json").read_text())
    assert memory["quarantine"] == [] and memory["host_faults"]["count"] == 1
    assert "5.0.0" in host.observed.heard()
