"""The order in which services are taken down: none is removed while Swarm deletes tasks of it."""

from typing import Any

import pytest

from reconciler.adapters.swarm import removal
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName

STACK = StackName("s")


def service(name: str, *, mode: str = "Replicated", attempts: int | None = None, grace_s: int = 7) -> dict[str, Any]:
    template: dict[str, Any] = {"ContainerSpec": {"StopGracePeriod": grace_s * 10**9}}
    if attempts is not None:
        template["RestartPolicy"] = {"MaxAttempts": attempts}
    modes: dict[str, Any] = {"Replicated": {"Replicated": {"Replicas": 1}}, "Global": {"Global": {}}}
    spec = {"Name": f"s_{name}", "Mode": modes[mode], "TaskTemplate": template}
    return {"ID": name, "Version": {"Index": 1}, "Spec": spec}


def task(of: str, desired: str, state: str = "running", slot: int = 1) -> dict[str, Any]:
    return {"ID": f"{of}.{slot}", "ServiceID": of, "Slot": slot, "DesiredState": desired, "Status": {"State": state}}


class Client:
    """An engine whose tasks change from one look to the next; notes what it is told, in order."""

    def __init__(self, *looks: list[dict[str, Any]], refuses: str = "") -> None:
        self.looks = list(looks)
        self.told: list[str] = []
        self.refuses = refuses

    def read(self, what: str, method: str, **_: object) -> list[dict[str, Any]]:
        if method == "containers":
            labels = {"com.docker.swarm.service.id": "app", "com.docker.swarm.task.id": "app.1"}
            return [{"Id": "c1", "Labels": labels}, {"Id": "stray", "Labels": {}}]
        self.told.append("look")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def update_service(self, service_id: str, version: int, spec: dict[str, Any]) -> None:
        self.told.append(f"halt {service_id}")

    def write(self, what: str, method: str, subject: str, timeout: int | None = None) -> None:
        self.told.append(f"{method} {subject}" + ("" if timeout is None else f" {timeout}"))
        if subject == self.refuses:
            raise ActError("refused")


def taken_down(client: Client, *found: dict[str, Any], kill: bool = False) -> list[str]:
    stub: Any = client
    removal.take_down(stub, STACK, found, kill=kill)
    return client.told


def test_a_service_that_runs_calmly_is_removed_before_its_containers_stop() -> None:
    running, ending = [task("app", "running")], [task("app", "remove")]
    told = taken_down(Client(running, running, ending), service("app"))
    assert told == ["look", "remove_service app", "look", "look", "stop c1 7"]


def test_one_that_restarts_all_the_time_is_halted_and_removed_when_nothing_of_it_is_deleted_any_more() -> None:
    dead = [task("app", "shutdown", "failed")] * 4
    looping = [*dead, task("app", "running", "starting")]
    deleting = [task("app", "shutdown", "failed")] * 6
    ending, ended = [*dead, task("app", "remove")], [*dead, task("app", "remove", "failed")]
    told = taken_down(Client(looping, looping, ending, ended, deleting, dead), service("app"))
    assert told == ["look", "halt app", "look", "look", "stop c1 7", "look", "look", "look", "remove_service app"]


def test_what_was_halted_before_is_waited_for_too() -> None:
    halted = service("app")
    halted["Spec"]["Mode"] = {"Replicated": {"Replicas": 0}}
    told = taken_down(Client([task("app", "remove", "complete")], []), halted)
    assert told == ["look", "look", "stop c1 7", "look", "remove_service app"]


def test_the_calm_go_at_once_and_one_that_cannot_go_keeps_no_other() -> None:
    tasks = [task("app", "running"), *[task("loop", "shutdown", "failed")] * 5]
    client = Client(tasks, [], refuses="app")
    with pytest.raises(ActError, match="refused"):
        taken_down(client, service("app"), service("db"))
    assert client.told == ["look", "remove_service app", "remove_service db"]
    told = taken_down(Client(tasks, []), service("loop"), service("app"), kill=True)
    assert told == ["look", "remove_service app", "halt loop", "look", "stop c1 0", "look", "remove_service loop"]
    assert taken_down(Client([])) == []


def test_a_stray_is_stopped_and_a_container_that_a_task_knows_is_not() -> None:
    client: Any = Client([task("app", "remove")])
    removal.stop_strays(client, STACK)
    assert client.told == ["look", "stop stray 10"]


@pytest.mark.parametrize(
    ("tasks", "attempts", "is_calm"),
    [
        ([], None, True), ([task("app", "running")], None, True), ([task("app", "remove")], None, False),
        ([task("app", "shutdown", "failed")] * 3, None, True), ([task("app", "shutdown", "failed")] * 4, None, False),
        ([task("app", "shutdown", "failed", slot) for slot in range(9)], None, True),
        ([task("other", "shutdown", "failed")] * 9, None, True),
        ([task("app", "shutdown", "failed")] * 9, 10, True), ([task("app", "shutdown", "failed")] * 10, 10, False),
    ],
)  # fmt: skip
def test_calm_is_what_has_room_for_its_next_restarts(tasks: list[Any], attempts: int | None, is_calm: bool) -> None:
    assert removal.calm(service("app", attempts=attempts), tasks) is is_calm


def test_halting_wants_no_task_and_is_done_once() -> None:
    everywhere = service("app", mode="Global")["Spec"]
    assert removal.halted(everywhere) and not removal.halted(everywhere)
    assert everywhere["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==ci-warm-halts-this"]
    assert everywhere["Mode"] == {"Global": {}}
    one = service("app")["Spec"]
    assert removal.halted(one) and not removal.halted(one)
    assert one["Mode"] == {"Replicated": {"Replicas": 0}}
    assert not removal.halted({"Mode": {"ReplicatedJob": {}}, "TaskTemplate": {}})
