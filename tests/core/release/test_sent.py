"""What was sent against what stands: a row per field that differs, and none for what the engine adds by itself."""

from typing import Any

import pytest

from reconciler.core.change import settle
from reconciler.core.release import networks, sent
from reconciler.model.observed import NetworkObs, VolumeObs
from reconciler.model.settling import Failed, Fault, Settled
from tests.builders import STACK, service, stack, task
from tests.core.change.test_settle import WANT, steady

TOLD: dict[str, object] = {
    "environment": {"A": "b", "N": "5", "F": "0.5"},
    "labels": {"role": "one", "com.docker.stack.namespace": "s"},
    "mode": "replicated",
    "replicas": 2,
    "command": ["sleep", "1"],
    "mounts": [f"volume {STACK}_data /data"],
    "ports": ["8080:80/tcp host"],
    "limits.memory": 64 << 20,
    "limits.cpus": 500_000_000,
    "stop_grace_period": 90_000_000_000,
    "user": "root",
}
SERVICE: dict[str, Any] = {
    "environment": {"A": "b", "N": 5, "F": 0.5},
    "command": ["sleep", "1"],
    "volumes": ["data:/data"],
    "ports": [{"target": 80, "published": 8080, "mode": "host"}],
    "stop_grace_period": "1m30s",
    "deploy": {
        "replicas": 2,
        "labels": {"role": "one"},
        "resources": {"limits": {"memory": "64M", "cpus": "0.50"}},
    },
}


def find(told: dict[str, object], **changes: Any) -> tuple[str, ...]:
    doc = {"services": {"app": SERVICE | changes}, "volumes": {"data": {}}}
    return sent.find_differences(doc, STACK, stack(service(told=told)))


def test_what_stands_is_what_was_sent_whatever_the_engine_adds() -> None:
    assert find(TOLD) == ()
    assert find(TOLD | {"restart.delay": 5, "constraints": ["x"], "new": "field"}) == ()
    assert find({}) == (), "an engine that does not tell"


DIFFERENT = [
    pytest.param({"environment": {"A": "c", "N": "5", "F": "0.5"}}, "environment A differs", id="a variable"),
    pytest.param({"environment": {"A": "b", "N": "5"}}, "", id="a value that the deploy tool formats is not compared"),
    pytest.param(
        {"environment": {"A": "b", "N": "5", "F": "0.5", "X": "1"}}, "environment X differs", id="one too many"
    ),
    pytest.param({"labels": {"role": "two"}}, "labels role differs", id="a label"),
    pytest.param({"replicas": 1}, "replicas is 1, sent 2", id="replicas"),
    pytest.param({"mode": "global"}, "mode is 'global', sent 'replicated'", id="mode"),
    pytest.param({"command": ["sleep", "2"]}, "command is", id="command"),
    pytest.param({"mounts": []}, "mounts is []", id="a mount that is gone"),
    pytest.param({"ports": ["8080:80/tcp ingress"]}, "ports is", id="the mode of a port"),
    pytest.param({"limits.memory": 1 << 20}, "limits.memory is", id="memory"),
    pytest.param({"stop_grace_period": 10**9}, "stop_grace_period is", id="grace"),
]


@pytest.mark.parametrize(("told", "says"), DIFFERENT)
def test_a_difference_is_told_by_its_name(told: dict[str, object], says: str) -> None:
    found = find(TOLD | told)
    if not says:
        assert found == ()
        return
    assert len(found) == 1
    assert found[0].startswith(f"service app: {says}")


def test_values_of_variables_are_not_told() -> None:
    [found] = find(TOLD | {"environment": {"A": "hunter2", "N": "5", "F": "0.5"}})
    assert "hunter2" not in found


UNSURE = [
    {"command": "sleep 1 'a b'"},
    {"volumes": ["data:/data/"]},
    {"ports": ["127.0.0.1:80:80"]},
    {"stop_grace_period": "1.5.2s"},
]


@pytest.mark.parametrize("changes", UNSURE, ids=str)
def test_what_may_be_told_otherwise_is_not_compared(changes: dict[str, Any]) -> None:
    assert find(TOLD, **changes) == ()


def network(**changes: Any) -> NetworkObs:
    fields: dict[str, Any] = {
        "name": f"{STACK}_inner",
        "driver": "overlay",
        "attachable": False,
        "internal": False,
        "options": {"com.docker.network.driver.overlay.vxlanid_list": "4097"},
        "subnets": ("10.0.3.0/24",),
        "labels": {"com.docker.stack.namespace": STACK},
    }
    return NetworkObs(**(fields | changes))


ENCRYPTED = {"encrypted": "", "com.docker.network.driver.overlay.vxlanid_list": "4097"}
SAME = [
    pytest.param({}, {}, id="defaults"),
    pytest.param({"driver": "overlay"}, {}, id="the default driver by name"),
    pytest.param({"driver_opts": {"encrypted": None}}, {"options": ENCRYPTED}, id="an option without a value"),
    pytest.param({"driver_opts": {"encrypted": ""}}, {"options": ENCRYPTED}, id="an option"),
    pytest.param({"attachable": True}, {"attachable": True}, id="attachable"),
    pytest.param({"ipam": {"config": [{"subnet": "10.0.3.0/24"}]}}, {}, id="its subnet"),
    pytest.param({"ipam": {"config": [{"subnet": "10.0.3.7/24"}]}}, {}, id="its subnet, by an address in it"),
    pytest.param({"ipam": {"config": [{"subnet": "10.0.3.0/24"}]}}, {"subnets": ()}, id="no subnet is told"),
    pytest.param({"labels": {"ci-warm.app": "notes"}}, {}, id="our own label"),
    pytest.param({}, {"labels": {"more": "x"}}, id="a label more"),
    pytest.param({"external": True, "attachable": True}, {}, id="external"),
    pytest.param({"name": "another", "attachable": True}, {}, id="another name"),
]
OTHER = [
    pytest.param({"attachable": True}, {}, "attachable is false, sent true", id="attachable"),
    pytest.param({}, {"attachable": True}, "attachable is true, sent false", id="no longer attachable"),
    pytest.param({"internal": True}, {}, "internal is false, sent true", id="internal"),
    pytest.param({"driver_opts": {"encrypted": ""}}, {}, "option encrypted is 'absent', sent ''", id="encrypted"),
    pytest.param({}, {"options": ENCRYPTED}, "option encrypted is set, not sent", id="no longer encrypted"),
    pytest.param({"driver": "macvlan"}, {}, "driver is overlay, sent macvlan", id="driver"),
    pytest.param(
        {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}, {}, "subnet is 10.0.3.0/24, sent 10.9.0.0/24", id="subnet"
    ),
    pytest.param({"labels": {"role": "x"}}, {}, "label role is None, sent 'x'", id="label"),
]


@pytest.mark.parametrize(("body", "changes"), SAME)
def test_a_network_is_the_same(body: dict[str, Any], changes: dict[str, Any]) -> None:
    assert networks.find_changed({"networks": {"inner": body}}, STACK, [network(**changes)]) == {}
    assert networks.find_changed({"networks": {"inner": body}}, STACK, []) == {}


@pytest.mark.parametrize(("body", "changes", "says"), OTHER)
def test_a_network_is_another(body: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    found = networks.find_changed({"networks": {"inner": body}}, STACK, [network(**changes)])
    assert found == {f"{STACK}_inner": f"network inner: {says}"}


@pytest.mark.parametrize(
    ("options", "labels", "count"),
    [
        ({"type": "tmpfs", "o": "size=1m"}, {"com.docker.stack.namespace": STACK}, 0),
        ({}, {"com.docker.stack.namespace": STACK}, 1),
        ({}, {}, 0),
    ],
    ids=["the same options", "others", "made by somebody else"],
)
def test_a_volume_keeps_the_options_it_was_made_with(options: Any, labels: Any, count: int) -> None:
    doc = {"volumes": {"data": {"driver_opts": {"type": "tmpfs", "o": "size=1m"}}}}
    there = VolumeObs(name=f"{STACK}_data", driver="local", options=options, labels=labels, path="/x")
    assert len(list(networks.find_changed_volumes(doc, STACK, [there]))) == count


def test_settling_fails_by_what_is_not_as_sent_and_blames_nobody() -> None:
    from dataclasses import replace

    want = replace(WANT, doc={"services": {"app": SERVICE}, "volumes": {"data": {}}}, stack=STACK)
    looks = steady(service(told=TOLD | {"replicas": 1}), task())
    state, verdict = settle.Progress(began=0.0, moved_at=0.0), None
    for at, seen in looks:
        state, verdict = settle.step(state, want, {}, frozenset(), seen, at)
    assert isinstance(verdict, Failed)
    assert verdict.reason == "what runs is not what was sent: service app: replicas is 1, sent 2"
    assert verdict.fault is Fault.UNKNOWN
    for at, seen in steady(service(told=TOLD), task()):
        state, verdict = settle.step(
            settle.Progress(began=0.0, moved_at=0.0, steady_since=0.0, steady_tasks=frozenset({"task-app-running"})),
            want,
            {},
            frozenset(),
            seen,
            at,
        )
    assert isinstance(verdict, Settled)
