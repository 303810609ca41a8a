"""What was sent is what runs: nothing differs falsely over many documents, and what differs is told by its name."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters import process
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.release import interpolate, merge, networks, sent
from reconciler.demo import recipes
from reconciler.model.ids import StackName
from reconciler.model.settings import Limits
from tests.documents import IMAGE, document
from tests.documents.accepted import ACCEPTED, FILES, NEWER
from tests.engines import engine
from tests.hosts.engine_host import V1, V2, EngineHost
from tests.real.scenes import need_job_modes
from tests.rendering import reading
from tests.rendering import test_against_docker as generated
from tests.waiting import until

# One worker: documents name networks, configs and ports of their own choice, which two at a time would share.
pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm"), pytest.mark.together("sent")]

GENERATED = int(os.environ.get("CI_WARM_TEST_CASES", "60"))


class RefusedError(AssertionError):
    """Docker does not take the document."""


def docker(host: str, *args: str) -> str:
    ran = process.run(["docker", "--host", host, *args], timeout_s=60)
    if ran.code:
        raise RefusedError(ran.output)
    return ran.output.strip()


class Stacks:
    """Deploys documents as stacks of their own, and clears all of them in the end."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host, self.folder = host, folder
        self.engine = SwarmEngine(host, Limits())
        self.names: list[str] = []
        self.mark = secrets.token_hex(3)
        for name in ("c.txt", "s.txt"):
            (folder / name).write_text("x")

    def deploy(self, doc: Mapping[str, Any], name: str = "") -> StackName:
        name = name or f"sent-{self.mark}-{len(self.names)}"
        if name not in self.names:
            self.names.append(name)
        path = self.folder / "compose.json"
        path.write_text(json.dumps(interpolate.escape(doc)))
        docker(self.host, "stack", "deploy", "--resolve-image", "never", "--compose-file", str(path), name)
        return StackName(name)

    def differences(self, doc: Mapping[str, Any], name: StackName) -> tuple[str, ...]:
        return sent.find_differences(merge.merge([doc]), name, self.engine.observe_stack(name))

    def remove_services(self, name: str) -> None:
        # Networks that a task which is still ending has in use stay, and it fails for them: `clear` removes them.
        ran = process.run(["docker", "--host", self.host, "stack", "rm", name], timeout_s=60)
        assert "Removing service" in ran.output, ran.output

    def clear(self) -> None:
        for name in self.names:
            until(partial(self._is_purged, name), 60, f"{name} is gone")

    def _is_purged(self, name: str) -> bool:
        return not self.engine.purge(StackName(name))


@contextlib.contextmanager
def stacks_on(host: str, folder: Path) -> Iterator[Stacks]:
    recipes.swarm_image(IMAGE, {}, label="sent")
    made = Stacks(host, folder)
    try:
        yield made
    finally:
        made.clear()
        docker(host, "image", "rm", "--force", IMAGE)


@pytest.fixture(scope="module")
def stacks(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    with stacks_on(docker_host, tmp_path_factory.mktemp("sent")) as made:
        yield made


def test_nothing_differs_falsely_on_a_newer_engine_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines normalise what they are sent, each in its own way, and so do their command lines."""
    engine.put_newer_cli(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with engine.running(engine.VERSION, [tmp_path]) as (host, _):
        monkeypatch.setenv("DOCKER_HOST", host)
        docker(host, "swarm", "init", "--advertise-addr", "127.0.0.1")
        with stacks_on(host, tmp_path) as made:
            found = {}
            for name, doc in (ACCEPTED | NEWER).items():
                stack = made.deploy(doc)
                found[name] = made.differences(doc, stack)
                made.remove_services(stack)
            assert {name: differences for name, differences in found.items() if differences} == {}
            assert find_generated(made, range(20)) == {}


@pytest.mark.parametrize("name", ACCEPTED)
def test_nothing_differs_from_what_was_sent_a_moment_ago(name: str, stacks: Stacks) -> None:
    if name.endswith(" job"):
        need_job_modes()
    doc = ACCEPTED[name]
    stack = stacks.deploy(doc)
    assert stacks.differences(doc, stack) == ()
    told = stacks.engine.observe_stack(stack).services[0].told
    common = set(sent.describe(merge.merge([doc]), stack, doc["services"]["app"])) & set(told)
    assert {"environment", "mode", "mounts", "ports"} <= common, "the comparison compares"
    stacks.remove_services(stack)


def tame(doc: Mapping[str, object]) -> dict[str, Any]:
    """A generated document without what an engine may not have, and without tasks."""
    found: dict[str, Any] = json.loads(json.dumps(doc)) | {"version": "3.8"}  # 20.10 needs one
    for section, plain in (
        ("networks", {}),
        ("volumes", {}),
        ("configs", {"file": "./c.txt"}),
        ("secrets", {"file": "./s.txt"}),
    ):
        found[section] = {key: dict(plain) for key in found.get(section) or {}}
    for body in found["services"].values():
        deploy = body.setdefault("deploy", {})
        deploy["mode"], deploy["replicas"] = "replicated", 0
        body["image"] = IMAGE
    return found


def find_generated(stacks: Stacks, numbers: range) -> dict[int, tuple[str, ...]]:
    """What differs falsely, by the number of the case; if hardly one were taken, they would show nothing."""
    taken = {}
    for number in numbers:
        doc = tame(reading.make(generated.recipe(range(number, number + 1), number)).doc)
        with contextlib.suppress(RefusedError):
            taken[number] = stacks.differences(doc, stacks.deploy(doc, f"sent-{stacks.mark}-generated"))
    assert len(taken) >= len(numbers) * 0.1
    return {number: found for number, found in taken.items() if found}


@pytest.mark.parametrize("share", range(GENERATED // 20))
def test_nothing_differs_falsely_in_generated_documents(share: int, stacks: Stacks) -> None:
    assert find_generated(stacks, range(share * 20, share * 20 + 20)) == {}


EDITS = {
    "environment A": ["--env-add", "A=other"],
    "environment B": ["--env-add", "B=more"],
    "replicas": ["--replicas", "2"],
    "user": ["--user", "1000"],
    "command": ["--args", "sleep 2000"],
    "constraints": ["--constraint-add", "node.role==manager"],
    "limits.memory": ["--limit-memory", "64M"],
    "stop_grace_period": ["--stop-grace-period", "3s"],
    "labels role": ["--label-add", "role=other"],
    "mounts": ["--mount-add", "type=tmpfs,target=/other"],
    "update.delay": ["--update-delay", "7s"],
    "health.interval": ["--health-cmd", "true", "--health-interval", "7s"],
    "restart.condition": ["--restart-condition", "none"],
    "cap_add": ["--cap-add", "NET_RAW"],
    "cap_drop": ["--cap-drop", "CHOWN"],
    "ulimits": ["--ulimit-add", "nofile=1000:2000"],
    "dns": ["--dns-add", "10.0.0.2"],
    "dns_search": ["--dns-search-add", "other.test"],
    "extra_hosts": ["--host-add", "other:10.0.0.2"],
    "sysctls net.core.somaxconn": ["--sysctl-add", "net.core.somaxconn=2048"],
    "logging.driver": ["--log-driver", "none"],
    "logging.options max-size": ["--log-driver", "json-file", "--log-opt", "max-size=2m"],
    "update.max_failure_ratio": ["--update-max-failure-ratio", "0.5"],
    "preferences": ["--placement-pref-add", "spread=node.labels.zone"],
    "configs": ["--config-rm", "sent-edited_c"],
    "secrets": ["--secret-rm", "sent-edited_s"],
    "networks": ["--network-rm", "sent-edited_second"],
}
EDITED = document(
    {**FILES, "networks": {"first": None, "second": None}},
    environment={"A": "b"},
    configs=["c"],
    secrets=["s"],
    networks={"first": None, "second": None},
    command="sleep 1000",
    cap_add=["NET_ADMIN"],
    cap_drop=["CAP_MKNOD"],
    ulimits={"nproc": 500},
    dns=["10.0.0.1"],
    dns_search=["example.test"],
    extra_hosts=["one:10.0.0.1"],
    sysctls={"net.core.somaxconn": 1024},
    logging={"driver": "json-file", "options": {"max-size": "1m"}},
    user="0",
    healthcheck={"test": "true", "interval": "9s"},
    deploy={
        "replicas": 1,
        "labels": {"role": "one"},
        "resources": {"limits": {"memory": "32M"}},
        "placement": {"constraints": ["node.role!=worker"], "preferences": [{"spread": "node.labels.rack"}]},
        "restart_policy": {"condition": "any"},
        "update_config": {"delay": "1s", "failure_action": "pause", "max_failure_ratio": 0.25},
    },
)


@pytest.mark.parametrize("field", EDITS)
def test_a_field_that_was_changed_since_is_told_by_its_name(field: str, stacks: Stacks) -> None:
    stack = stacks.deploy(EDITED, "sent-edited")
    assert stacks.differences(EDITED, stack) == ()
    docker(stacks.host, "service", "update", "--quiet", "--detach", *EDITS[field], f"{stack}_app")
    assert any(f"service app: {field}" in text for text in stacks.differences(EDITED, stack))


NETWORKS: dict[str, dict[str, Any]] = {
    "attachable": {"attachable": True},
    "internal": {"internal": True},
    "option encrypted": {"driver_opts": {"encrypted": ""}},
    "option com.docker.network.driver.mtu": {"driver_opts": {"com.docker.network.driver.mtu": "1400"}},
    "subnet": {"ipam": {"config": [{"subnet": "10.231.9.0/24"}]}},
    "label role": {"labels": {"role": "inner"}},
}


@pytest.mark.parametrize("field", NETWORKS)
def test_a_network_of_another_definition_is_told_and_the_same_one_is_not(field: str, stacks: Stacks) -> None:
    before = document({"networks": {"inner": {}}}, networks={"inner": None})
    after = document({"networks": {"inner": NETWORKS[field]}}, networks={"inner": None})
    old, new = stacks.deploy(before), stacks.deploy(after)
    for stack, same, other in ((old, before, after), (new, after, before)):
        here = stacks.engine.observe_stack(stack).networks
        assert [one.name for one in here] == [f"{stack}_inner"]
        assert networks.find_changed(same, stack, here) == {}
        # A subnet that nobody asks for any more is as good as any.
        if (stack, field) != (new, "subnet") and not (stack == new and field.startswith("label")):
            assert field in networks.find_changed(other, stack, here)[f"{stack}_inner"]
    for stack in (old, new):
        stacks.remove_services(stack)


def with_network(**definition: Any) -> str:
    doc = json.loads(recipes.compose("IMAGE", stateful=True))
    doc["networks"]["internal"] = definition
    return json.dumps(doc)


def inner(host: EngineHost) -> Any:
    [found] = host.program.build().ports.engine.observe_stack(host.stack).networks
    return found


def test_a_network_whose_definition_changed_is_made_anew_in_an_upgrade(host: EngineHost) -> None:
    assert not inner(host).attachable
    host.release(V2, compose=with_network(attachable=True, driver_opts={"encrypted": ""}, labels={"role": "x"}))
    outcome = host.program.outcome()
    assert str(outcome.result) == f"upgraded:{V1}->{V2}", outcome.evidence
    assert inner(host).attachable
    assert "encrypted" in inner(host).options
    assert inner(host).labels["role"] == "x"
    assert host.program.reconcile() == "noop-healthy"


def test_the_way_back_makes_the_network_anew_too(host: EngineHost) -> None:
    host.release(V2, compose=with_network(attachable=True), FAIL="after")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    assert not inner(host).attachable
    assert host.observed.notes() == "first note\nsecond note\n"


def test_a_network_that_another_stack_uses_is_held_before_anything_stops(host: EngineHost, stacks: Stacks) -> None:
    outside = {"networks": {"theirs": {"external": True, "name": f"{host.stack}_internal"}}}
    user = stacks.deploy(document(outside, networks={"theirs": None}))
    host.release(V2, compose=with_network(attachable=True))
    before = host.program.build().ports.engine.observe_stack(host.stack)
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    [alert] = host.observed.alerts()
    assert f"cannot be made anew while service {user}_app uses it" in alert.evidence[0]
    after = host.program.build().ports.engine.observe_stack(host.stack)
    assert (after.services, after.tasks, after.networks) == (before.services, before.tasks, before.networks)
    stacks.remove_services(user)
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert inner(host).attachable
