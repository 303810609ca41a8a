"""What Docker refuses is found before anything is touched: asked of the real tool and the real engine."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters import process
from reconciler.adapters.deploy.check import Checker
from reconciler.core.release import interpolate, refusals
from reconciler.demo import recipes
from reconciler.model.recipe import Rendered
from tests.documents import IMAGE
from tests.documents.accepted import ACCEPTED
from tests.documents.refused import LATER, SHAPES, Refused
from tests.engines.engine import put_newer_cli
from tests.hosts.engine_host import V1, V2, EngineHost
from tests.waiting import until

# With the other tests that deploy these documents: they publish the same ports.
pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm"), pytest.mark.together("sent")]
STACK = "refusals"
_STACKS: list[str] = []


def find(doc: Mapping[str, object], said: tuple[str, ...] | None) -> list[tuple[str, str]]:
    rendered = Rendered(version="", commit="", doc=doc, files={}, images={}, volumes={})
    return [(one.place, one.says) for one in refusals.find_refusals(rendered, STACK, said)]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checker:
    """The check by a CLI that has `stack config`: the machine's own, or a newer Debian's."""
    # By what it says: the CLI of Debian 12 answers with another help and exit code 0.
    asked = subprocess.run(["docker", "stack", "config", "--help"], capture_output=True, text=True, check=False)
    if "--compose-file" not in asked.stdout:
        newer = tmp_path / "bin"
        newer.mkdir()
        put_newer_cli(newer)
        monkeypatch.setenv("PATH", f"{newer}:{os.environ['PATH']}")
    return Checker()


@pytest.fixture(scope="module")
def engine(docker_host: str) -> Iterator[str]:
    """An engine with the image that the documents name, and what some of them expect there."""
    recipes.swarm_image(IMAGE, {}, label="refusals")
    yield docker_host
    for stack in _STACKS:
        label = f"label=com.docker.stack.namespace={stack}"
        argv = ("ps", "--all", "--quiet", "--filter", label)
        until(partial(_is_empty, docker_host, *argv), 60, f"the containers of {stack} are gone")
        for kind in ("network", "volume"):
            found = docker(docker_host, kind, "ls", "--quiet", "--filter", label).output.split()
            if found:
                docker(docker_host, kind, "rm", *found)
    docker(docker_host, "image", "rm", "--force", IMAGE)


def docker(host: str, *args: str) -> process.Ran:
    return process.run(["docker", "--host", host, *args], timeout_s=60)


def _is_empty(host: str, *argv: str) -> bool:
    return not docker(host, *argv).output


def deploy(host: str, folder: Path, doc: Mapping[str, object]) -> process.Ran:
    for name in ("c.txt", "s.txt"):
        (folder / name).write_text("x")
    compose = folder / "compose.json"
    # A subnet of its own: that of a network that is still going is taken, and other tests deploy these documents too.
    compose.write_text(json.dumps(interpolate.escape(doc)).replace("10.231.7.", "10.231.8."))
    # A stack for each, or an update would meet what the one before made.
    # By process: workers side by side share the engine.
    _STACKS.append(f"{STACK}-{os.getpid()}-{len(_STACKS)}")
    ran = docker(host, "stack", "deploy", "--resolve-image", "never", "--compose-file", str(compose), _STACKS[-1])
    docker(host, "stack", "rm", _STACKS[-1])
    return ran


@pytest.mark.parametrize("row", SHAPES, ids=[row.name for row in SHAPES])
def test_a_shape_that_the_tool_refuses_is_told_with_its_place_and_words(row: Refused, tool: Checker) -> None:
    said = tool.check(row.doc)
    assert said
    found = find(row.doc, said)
    assert any(row.place.startswith(place) and place.count(".") >= min(2, row.place.count(".")) for place, _ in found)


@pytest.mark.parametrize("row", LATER, ids=[row.name for row in LATER])
def test_what_is_refused_when_services_are_made_is_found_before(
    row: Refused, engine: str, tool: Checker, tmp_path: Path
) -> None:
    assert tool.check(row.doc) == ()
    assert [place for place, _ in find(row.doc, ())] == [row.place]
    ran = deploy(engine, tmp_path, row.doc)
    assert ran.code != 0, "Docker takes it"
    if "configs" not in row.name:  # those are not there
        assert row.says in ran.output or row.says.partition(" ")[2] in ran.output


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_docker_takes_is_not_refused(name: str, engine: str, tool: Checker, tmp_path: Path) -> None:
    ran = deploy(engine, tmp_path, ACCEPTED[name])
    assert ran.code == 0, ran.output
    assert find(ACCEPTED[name], tool.check(ACCEPTED[name])) == []
    assert find(ACCEPTED[name], None) == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"imagee": "x"}, "compose.yml: services.app: Additional property imagee is not allowed"),
    "replicas in words": ({"deploy": {"replicas": "two"}}, "services.app.deploy.replicas: must be a integer"),
    "bad duration": ({"stop_grace_period": "5 minutes"}, "services.app.stop_grace_period: Does not match format"),
    "bad constraint": (
        {"deploy": {"placement": {"constraints": ["node.role ~ manager"]}}},
        "services.app.deploy.placement.constraints.0: constraint expected one operator",
    ),
    "memory": ({"deploy": {"resources": {"limits": {"memory": "1x"}}}}, "services.app.deploy"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_release_that_docker_refuses_is_held_and_nothing_is_touched(wrong: str, host: EngineHost) -> None:
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    changes, says = WRONG[wrong]
    app = document["services"]["app"]
    app |= changes | {"deploy": {**app["deploy"], **changes.get("deploy", {})}}
    host.release(V2, compose=json.dumps(document))
    engine = host.program.build().ports.engine
    before, files = engine.observe_stack(host.stack), host.observed.digest()
    plan = json.loads(host.program.command("plan", "--json").stdout)
    assert says in json.dumps(plan)
    assert host.program.reconcile() == f"held-recipe:{V1}->{V2}"
    assert host.program.reconcile() == f"held-recipe:{V1}->{V2}"
    after = engine.observe_stack(host.stack)
    assert (after.services, after.tasks) == (before.services, before.tasks)
    assert host.observed.digest() == files
    assert host.observed.known() == V1
    [alert] = host.observed.alerts()
    assert any(says in text for text in alert.evidence)
    assert says in host.program.command("explain", host.name).stdout
