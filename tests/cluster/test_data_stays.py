"""On a Swarm of two nodes: an app with data stays where its data lies, or is left alone and said to be elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.demo import recipes
from tests.engines.machine import OWN
from tests.engines.pair import Pair, pair
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.real.scenes import reconcile
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.long, pytest.mark.timeout(600), pytest.mark.together("machines")]


@pytest.fixture(scope="module", params=["28", pytest.param(OWN, marks=pytest.mark.suites)])
def nodes(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with pair(request.param) as made:
        yield made


@pytest.fixture
def host(nodes: Pair, tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm", executable=nodes.manager.executable) as made:
        made.set(docker_host=nodes.manager.host, limits={"call": "5s", "steady_probe": "2s"})
        yield made


def service(host: EngineHost) -> str:
    return f"{host.stack}_app"


def placement(nodes: Pair, host: EngineHost) -> list[str]:
    form = "{{json .Spec.TaskTemplate.Placement.Constraints}}"
    return json.loads(nodes.manager.docker("service", "inspect", service(host), "--format", form)) or []


def deployed(nodes: Pair, host: EngineHost) -> None:
    """The first release, and something that its people wrote; its image is on the other node, too."""
    nodes.give_image(host.release(V1))
    assert reconcile(host) == f"deployed:{V1}"
    with (host.observed.data() / "notes.txt").open("a") as notes:
        notes.write("what people wrote\n")


def test_an_upgrade_does_not_move_an_app_away_from_its_data(nodes: Pair, host: EngineHost) -> None:
    """Swarm prefers the emptier node, which is the other one: the app would begin with an empty volume there."""
    deployed(nodes, host)
    crowd = ("--constraint", "node.role==manager", "--replicas", "4", "--network", "host", "--entrypoint", "sleep")
    nodes.manager.docker("service", "create", "--detach", "--name", "crowd", *crowd, host.images[0], "3600")
    try:
        until(lambda: nodes.runs_on("crowd") == [nodes.node(nodes.manager)] * 4, 60, "this node is busier")
        nodes.give_image(host.release(V2, SCHEMA="2"))
        assert reconcile(host) == f"upgraded:{V1}->{V2}"
    finally:
        nodes.manager.docker("service", "rm", "crowd")
    assert nodes.runs_on(service(host)) == [nodes.node(nodes.manager)]
    assert "what people wrote" in host.observed.notes()
    assert reconcile(host) == "noop-healthy"
    host.observed.check()


def test_an_app_from_before_is_kept_where_it_is_when_a_node_joins(nodes: Pair, host: EngineHost) -> None:
    """And nothing of it is started anew for that."""
    nodes.leave()
    try:
        host.release(V1)
        assert reconcile(host) == f"deployed:{V1}"
    finally:
        nodes.join()
    assert placement(nodes, host) == []
    before = nodes.manager.docker("ps", "-q", "--filter", f"name={service(host)}")
    assert reconcile(host) == f"healed:{V1}"
    assert placement(nodes, host) == [f"node.id=={nodes.node(nodes.manager)}"]
    assert nodes.manager.docker("ps", "-q", "--filter", f"name={service(host)}") == before
    assert reconcile(host) == "noop-healthy"


def test_an_app_that_runs_elsewhere_is_left_alone_and_said_to_be_there(nodes: Pair, host: EngineHost) -> None:
    deployed(nodes, host)
    here, there = nodes.node(nodes.manager), nodes.node(nodes.worker)
    move(nodes, host, here, there)
    nodes.give_image(host.release(V2, SCHEMA="2"))
    before = nodes.manager.docker("service", "inspect", service(host))
    for _ in range(2):
        assert reconcile(host) == f"held-elsewhere:{V1}"
    assert nodes.manager.docker("service", "inspect", service(host)) == before, "a hold touches nothing"
    [alert] = host.observed.alerts()
    name = nodes.worker.docker("info", "--format", "{{.Name}}")
    assert f"service app runs on node {name}" in alert.evidence[0]
    assert "several nodes" in alert.clears_when
    planned = json.loads(host.program.command("plan", "--json").stdout)
    assert planned[0]["result"] == f"held-elsewhere:{V1}"
    assert "what people wrote" in host.observed.notes()
    # Back by hand, it is what was edited that is mended, and the upgrade comes after it.
    move(nodes, host, there, here)
    assert reconcile(host) in (f"healed:{V1}", f"upgraded:{V1}->{V2}")
    until(lambda: reconcile(host) in (f"upgraded:{V1}->{V2}", "noop-healthy"), 60, "it goes on")
    assert "what people wrote" in host.observed.notes()
    assert nodes.runs_on(service(host)) == [here]


def move(nodes: Pair, host: EngineHost, here: str, there: str) -> None:
    """As a hand would."""
    words = ("--constraint-rm", f"node.id=={here}", "--constraint-add", f"node.id=={there}")
    nodes.manager.docker("service", "update", "--detach", *words, service(host))
    until(lambda: nodes.runs_on(service(host)) == [there], 60, "it runs on the other node")


def test_a_recipe_that_wants_another_node_is_held_before_anything_is_touched(nodes: Pair, host: EngineHost) -> None:
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    document["services"]["app"]["deploy"]["placement"] = {"constraints": ["node.role == worker"]}
    host.release(V1, compose=json.dumps(document))
    assert reconcile(host).startswith("held-preflight")
    [alert] = host.observed.alerts()
    said = " ".join(alert.evidence)
    assert "node.role == worker" in said
    assert f"may not run on node {nodes.manager.docker('info', '--format', '{{.Name}}')}" in said
    assert nodes.manager.docker("service", "ls", "-q", "--filter", f"name={service(host)}") == ""
