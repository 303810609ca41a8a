"""When a task that waits for a host port counts as forgotten by the engine; never while a task may have the port."""

from typing import Any

import pytest

from reconciler.adapters.swarm import parse
from reconciler.core.change import lost_tasks
from reconciler.core.live import assess
from reconciler.core.release import published
from reconciler.model.status import Status
from tests.builders import NOW, facts, known, service, stack, task

WORDS = "no suitable node (host-mode port already in use on 1 node)"
APP = service(host_ports=frozenset({443}))
PENDING = task("pending", error=WORDS)
FORGOTTEN = stack(APP, PENDING)

NOT_FORGOTTEN: list[tuple[str, Any, Any]] = [
    ("a task has the port", FORGOTTEN, frozenset({443})),
    ("it cannot be told", FORGOTTEN, None),
    ("another reason", stack(APP, task("pending", error="no suitable node (insufficient resources on 1 node)")), {}),
    ("another task of it runs", stack(APP, PENDING, task()), {}),
    ("another task of it starts", stack(APP, PENDING, task("preparing")), {}),
    ("it is to stop", stack(APP, task("pending", error=WORDS, desired_state="shutdown")), {}),
    ("it publishes nothing", stack(service(), PENDING), {}),
]


@pytest.mark.parametrize(("name", "seen", "taken"), NOT_FORGOTTEN, ids=[row[0] for row in NOT_FORGOTTEN])
def test_is_not_forgotten(name: str, seen: Any, taken: Any) -> None:
    assert lost_tasks.free(seen, frozenset(taken) if taken is not None else None) == (), name


def test_is_woken_only_after_its_port_was_free_for_a_while_and_then_not_at_once_again() -> None:
    free, held = frozenset[int](), frozenset({443})
    state, names = lost_tasks.step(lost_tasks.NOTHING, FORGOTTEN, free, 10.0)
    assert names == ()
    state, names = lost_tasks.step(state, FORGOTTEN, held, 11.0)
    state, names = lost_tasks.step(state, FORGOTTEN, free, 12.0)
    assert names == (), "the port was taken in between"
    state, names = lost_tasks.step(state, FORGOTTEN, free, 14.0)
    assert names == ("app",)
    state, names = lost_tasks.step(state, FORGOTTEN, free, 14.5)
    assert names == ()


def test_an_app_that_the_engine_forgot_is_healed_and_one_that_waits_its_turn_is_not() -> None:
    def status(taken: frozenset[int] | None) -> Status:
        return assess.assess(facts(stack=FORGOTTEN, known=known(), taken_ports=taken), NOW).status

    assert status(frozenset()) is Status.DRIFTED
    assert status(frozenset({443})) is Status.FAILED
    assert status(None) is Status.FAILED


def raw_service(name: str, *ports: dict[str, object]) -> dict[str, Any]:
    return {"ID": name, "Spec": {"Name": name, "EndpointSpec": {"Ports": list(ports)}}}


def raw_task(of: str, state: str, node: str = "n1", **status: object) -> dict[str, Any]:
    return {"ID": f"{of}-{state}", "ServiceID": of, "NodeID": node, "Status": {"State": state, **status}}


HOST = {"PublishMode": "host", "PublishedPort": 443}
INGRESS = {"PublishMode": "ingress", "PublishedPort": 80}


@pytest.mark.parametrize(
    ("task_", "taken"),
    [
        (raw_task("web", "running"), {443}),
        (raw_task("web", "assigned"), {443}),
        (raw_task("web", "pending", node=""), set()),
        (raw_task("web", "pending"), set()),
        (raw_task("web", "shutdown"), set()),
        (raw_task("removed", "running", PortStatus={"Ports": [HOST]}), {443}),
        (raw_task("removed", "failed"), set()),
        (raw_task("removed", "preparing"), None),
    ],
    ids=lambda row: row["ID"] if isinstance(row, dict) else "",
)
def test_a_port_is_taken_until_its_task_has_ended(task_: dict[str, Any], taken: set[int] | None) -> None:
    found = parse.taken_ports([raw_service("web", HOST, INGRESS)], [task_])
    assert found == (frozenset(taken) if taken is not None else None)


def test_only_ports_of_the_node_itself_are_waited_for() -> None:
    long = [{"target": 80, "published": 8080, "mode": "host"}, {"target": 90, "published": "9090", "mode": "host"}]
    other: list[object] = [{"target": 1, "published": 1}, {"target": 2, "mode": "host"}, "8081:81"]
    doc = {"services": {"web": {"ports": long}, "side": {"ports": other}, "quiet": {}}}
    assert published.host_ports(doc) == {8080, 9090}
