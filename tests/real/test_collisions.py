"""What a release would meet on a real engine is found before the app is touched: Docker finds it when it is down."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, EngineHost
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(240), pytest.mark.together("collisions")]
SUBNET = "10.231.77.0/24"
MARK = secrets.token_hex(3)
PROXY, LOCAL, TAKEN, NUMBERED = (f"{name}-{MARK}" for name in ("proxy", "local", "taken", "numbered"))


def attempt(host: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "--host", host, *words], capture_output=True, text=True, timeout=60, check=False)


def docker(host: str, *words: str) -> str:
    ran = attempt(host, *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def others(swarm: str) -> Iterator[str]:
    """What is there already: networks of each kind, and a service with two ports."""
    image = f"ci-warm-collisions-{MARK}:1"
    recipes.swarm_image(image, {})
    for name, *options in (
        (PROXY, "--driver", "overlay"),
        (LOCAL,),
        (TAKEN, "--driver", "overlay"),
        (NUMBERED, "--driver", "overlay", "--subnet", SUBNET),
    ):
        docker(swarm, "network", "create", *options, name)
    given = ("--publish", "45681:80", "--publish", "mode=host,published=45682,target=81")
    docker(
        swarm, "service", "create", "--detach", "--quiet", "--name", f"user-{MARK}", "--replicas", "0", *given, image
    )
    yield swarm
    docker(swarm, "service", "rm", f"user-{MARK}")
    docker(swarm, "network", "rm", PROXY, LOCAL, TAKEN, NUMBERED)
    docker(swarm, "image", "rm", "--force", image)


def on_network(body: dict[str, Any]) -> dict[str, Any]:
    return {"networks": {"more": body}, "services": {"app": {"networks": ["more"]}}}


def on_app(**more: Any) -> dict[str, Any]:
    return {"services": {"app": more}}


MEETS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a network of one engine": (
        on_network({"external": True, "name": LOCAL}),
        "preflight",
        'declared as external, but it is not in the right scope: "local" instead of "swarm"',
    ),
    "the mesh itself": (
        on_network({"external": True, "name": "ingress"}),
        "preflight",
        "cannot be explicitly attached to the ingress network",
    ),
    "the name of a network": (on_network({"name": TAKEN}), "preflight", f"network with name {TAKEN} already exists"),
    "a subnet": (
        on_network({"ipam": {"config": [{"subnet": "10.231.0.0/16"}]}}),
        "preflight",
        f"subnet 10.231.0.0/16 overlaps with {SUBNET} of network {NUMBERED}",
    ),
    "a port of the mesh": (
        on_app(ports=["45681:80"], deploy={"endpoint_mode": "vip"}),
        "preflight",
        f"port '45681' is already in use by service 'user-{MARK}' as an ingress port",
    ),
    "a port of a node": (
        on_app(ports=["45682:80"], deploy={"endpoint_mode": "vip"}),
        "preflight",
        f"port '45682' is already in use by service 'user-{MARK}' as a host-published port",
    ),
    "a log driver that is not there": (
        on_app(logging={"driver": "loki"}),
        "preflight",
        "services.app.logging.driver: no node has the log driver loki",
    ),
    "a target that is no whole path": (
        {"volumes": {"more": {}}, "services": {"app": {"volumes": ["data:/data", "more:more"]}}},
        "recipe",
        "invalid mount target, must be an absolute path: more",
    ),
    "one target twice": (
        {"volumes": {"more": {}}, "services": {"app": {"volumes": ["data:/data", "more:/data/"]}}},
        "recipe",
        "duplicate mount point: /data",
    ),
}
"""What the release says more, by which hold it waits, and in which words."""


def compose_with(more: dict[str, Any]) -> str:
    made = json.loads(recipes.compose("IMAGE", stateful=True))
    for section, bodies in more.items():
        for key, body in bodies.items():
            there = made.setdefault(section, {}).setdefault(key, {})
            deploy = {**there.get("deploy", {}), **body.get("deploy", {})}
            there |= body | ({"deploy": deploy} if deploy else {})
    return json.dumps(made)


@pytest.mark.parametrize("what", MEETS)
def test_what_it_would_meet_holds_it_and_nothing_is_touched(what: str, others: str, host: EngineHost) -> None:
    more, reason, says = MEETS[what]
    host.release(V2, compose=compose_with(more), SCHEMA="2")
    engine = host.program.build().ports.engine
    before, files = engine.observe_stack(host.stack), host.observed.digest()
    [row] = json.loads(host.program.command("plan", "--json").stdout)
    assert says in " ".join(hold["detail"] for hold in row["holds"])
    assert host.program.reconcile() == f"held-{reason}:{V1}->{V2}"
    after = engine.observe_stack(host.stack)
    assert (after.services, after.tasks) == (before.services, before.tasks)
    assert host.observed.digest() == files
    [alert] = host.observed.alerts()
    assert says in " ".join(alert.evidence)


@pytest.mark.parametrize("what", MEETS)
def test_docker_would_not_run_it(what: str, others: str, tmp_path: Path) -> None:
    """Refused, or never up: or the hold would be a false one."""
    stack = f"collide-{secrets.token_hex(3)}"
    file = tmp_path / "compose.json"
    text = compose_with(MEETS[what][0]).replace("IMAGE", f"ci-warm-collisions-{MARK}:1")
    made = json.loads(text.replace("${PUBLISHED_PORT}", "45683"))
    made["services"]["app"]["environment"] = []
    for port in made["services"]["app"]["ports"]:
        if isinstance(port, dict):
            port["published"] = 45683
    file.write_text(json.dumps(made))
    sent = attempt(others, "stack", "deploy", "--resolve-image", "never", "--compose-file", str(file), stack)
    try:
        if sent.returncode == 0:
            # Whatever comes of it: it does not run.
            said = until(lambda: _find_end(others, stack), 30, "what becomes of it is clear")
            assert "Running" not in said, said
    finally:
        docker(others, "stack", "rm", stack)
        label = f"label=com.docker.stack.namespace={stack}"
        until(lambda: not docker(others, "ps", "--all", "--quiet", "--filter", label), 60, "it is gone")
        until(lambda: not docker(others, "network", "ls", "--quiet", "--filter", label), 60, "its networks are gone")
        for volume in docker(others, "volume", "ls", "--quiet", "--filter", label).split():
            docker(others, "volume", "rm", volume)


def _find_end(host: str, stack: str) -> str:
    """What its tasks say once they run, or cannot; a task that waits for an address stays new."""
    said = attempt(host, "stack", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", stack).stdout
    return said if any(word in said for word in ("Running", "Rejected", "no suitable node", "New ")) else ""


def test_a_volume_of_a_stack_whose_name_begins_with_ours_is_not_taken(others: str, host: EngineHost) -> None:
    """`notes_co` has a volume `uk_data`, and `notes_co_uk` one that is called `data`: one name on the engine."""
    name = f"{host.stack}_uk_data"
    docker(others, "volume", "create", "--label", f"com.docker.stack.namespace={host.stack}_uk", name)
    try:
        more = {"volumes": {"uk_data": {}}, "services": {"app": {"volumes": ["data:/data", "uk_data:/uk"]}}}
        host.release(V2, compose=compose_with(more), SCHEMA="2")
        assert host.program.reconcile() == f"held-policy:{V1}->{V2}"
        [alert] = host.observed.alerts()
        assert f"{name}, which is of stack {host.stack}_uk" in " ".join(alert.evidence)
    finally:
        docker(others, "volume", "rm", name)
