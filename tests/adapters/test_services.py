"""The order in which services are taken down: none is removed while Swarm deletes tasks of it."""

from typing import Any

import pytest

from reconciler.adapters.swarm import services
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName

STACK = StackName("s")


def service(name: str, *, mode: str = "Replicated") -> dict[str, Any]:
    modes: dict[str, Any] = {"Replicated": {"Replicated": {"Replicas": 1}}, "Global": {"Global": {}}}
    spec = {"Name": f"s_{name}", "Mode": modes[mode], "TaskTemplate": {}}
    return {"ID": name, "Version": {"Index": 1}, "Spec": spec}


def task(of: str, desired: str, state: str = "running") -> dict[str, Any]:
    return {
        "ID": f"{of}.1",
        "ServiceID": of,
        "Slot": 1,
        "DesiredState": desired,
        "Status": {"State": state},
        "Spec": {"ContainerSpec": {"StopGracePeriod": 7 * 10**9}},
    }


class Client:
    """An engine whose tasks change from one look to the next; notes what it is told, in order."""

    def __init__(self, *looks: list[dict[str, Any]], refuses: str = "") -> None:
        self.looks = list(looks)
        self.told: list[str] = []
        self.refuses = refuses
        self.ends_with: int | None = 0

    def read(self, what: str, method: str, **_: object) -> Any:
        if method == "info":
            return {"Swarm": {"Cluster": {"Spec": {"Orchestration": {"TaskHistoryRetentionLimit": 5}}}}}
        if method == "containers":
            labels = {"com.docker.swarm.service.id": "app", "com.docker.swarm.task.id": "app.1"}
            return [
                {"Id": "c1", "Labels": labels, "Names": ["/s_app.1"]},
                {"Id": "stray", "Labels": {}, "Names": ["/x"]},
            ]
        self.told.append("look")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def find(self, what: str, method: str, subject: str) -> Any:
        return {"State": {"ExitCode": self.ends_with}} if self.ends_with is not None else None

    def update_service(self, service_id: str, version: int, spec: dict[str, Any]) -> None:
        self.told.append(f"halt {service_id}")
        if f"halt {service_id}" == self.refuses:
            raise ActError("refused")

    def write(self, what: str, method: str, subject: str, timeout: int | None = None) -> None:
        self.told.append(f"{method} {subject}" + ("" if timeout is None else f" {timeout}"))
        if f"{method} {subject}" == self.refuses:
            raise ActError("refused")


def taken_down(client: Client, *found: dict[str, Any], kill: bool = False) -> list[str]:
    stub: Any = client
    services.take_down(stub, STACK, found, kill=kill)
    return [told for told in client.told if told != "look"]


def test_a_service_that_runs_calmly_is_removed_before_its_containers_stop() -> None:
    running, ending = [task("app", "running")], [task("app", "remove")]
    client = Client(running, running, ending)
    assert taken_down(client, service("app")) == ["remove_service app", "stop c1 7"]
    assert client.told[1:4] == ["remove_service app", "look", "look"], "nothing stops while it is wanted"


def test_one_that_restarts_all_the_time_is_halted_and_removed_when_nothing_of_it_is_deleted_any_more() -> None:
    dead = [task("app", "shutdown", "failed")] * 4
    looping = [*dead, task("app", "running", "starting")]
    ending, ended = [*dead, task("app", "remove")], [*dead, task("app", "remove", "failed")]
    deleting = [task("app", "shutdown", "failed")] * 6
    client = Client(looping, looping, ending, ending, ended, deleting, dead)
    assert taken_down(client, service("app")) == ["halt app", "stop c1 7", "remove_service app"]
    assert client.told[-4:] == ["look", "look", "look", "remove_service app"]


def test_what_was_halted_before_is_waited_for_too() -> None:
    halted = service("app")
    halted["Spec"]["Mode"] = {"Replicated": {"Replicas": 0}}
    ended = [task("app", "remove", "complete")]
    client = Client(ended, ended, ended, [])
    assert taken_down(client, halted) == ["stop c1 7", "remove_service app"]


@pytest.mark.parametrize("refuses", ["remove_service app", "halt loop", "remove_service loop"])
def test_one_that_cannot_go_keeps_no_other(refuses: str) -> None:
    tasks = [task("app", "running"), *[task("loop", "running", "failed")] * 5]
    client = Client(tasks, [], refuses=refuses)
    with pytest.raises(ActError, match="refused"):
        taken_down(client, service("loop"), service("app"), kill=True)
    told = [told for told in client.told if told != "look"]
    assert told == ["remove_service app", "halt loop", "stop c1 0", "remove_service loop"]
    assert taken_down(Client([])) == []


def test_all_of_a_stack_are_stopped_when_asked_for_also_those_of_no_service() -> None:
    client: Any = Client([task("app", "remove")])
    services.stop(client, STACK, lambda _: True)
    assert sorted(client.told) == ["look", "stop c1 7", "stop stray 10"]


def test_halting_wants_no_task_and_is_done_once() -> None:
    everywhere = service("app", mode="Global")["Spec"]
    assert services.halted(everywhere) and not services.halted(everywhere)
    assert everywhere["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==ci-warm-halts-this"]
    assert everywhere["Mode"] == {"Global": {}}
    one = service("app")["Spec"]
    assert services.halted(one) and not services.halted(one)
    assert one["Mode"] == {"Replicated": {"Replicas": 0}}
    assert not services.halted({"Mode": {"ReplicatedJob": {}}, "TaskTemplate": {}})


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, []),
        (143, []),
        (137, ["app.1"]),
        # Swarm's agent has removed it: it took no time, so nothing had to be killed.
        (None, []),
    ],
)
def test_what_had_to_be_killed_is_told(code: int | None, told: list[str]) -> None:
    running, ending = [task("app", "running")], [task("app", "remove")]
    for kill in (False, True):  # of one that is to be killed nothing else was asked for
        client: Any = Client(running, running, ending)
        client.ends_with = code
        assert services.take_down(client, STACK, [service("app")], kill=kill) == ([] if kill else told)
