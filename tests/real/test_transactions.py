"""Whole changes on a real Swarm: real containers, volumes, git and HTTP."""

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, V3, EngineHost, engine_host
from tests.node.test_deep_trees import descend
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    """The notes app runs at V1."""
    with engine_host(tmp_path / "host", "swarm") as made:
        made.release(V1, SCHEMA="1")
        assert made.program.reconcile() == f"deployed:{V1}"
        yield made


def docker(*args: str) -> str:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True).stdout.strip()


def fingerprint(host: EngineHost) -> tuple[Any, ...]:
    """Everything that must stand still while nothing is done: service versions, container ids, data."""
    stack = host.program.build().ports.engine.observe_stack(host.stack)
    return (
        [(s.id, s.version_index) for s in stack.services],
        sorted(c.id for c in stack.containers),
        host.observed.digest(),
        docker("network", "ls", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}"),
    )


def test_an_upgrade_keeps_the_data_and_the_owner_of_every_file(host: EngineHost) -> None:
    data = host.observed.data()
    os.chown(data / "notes.txt", 1234, 4321)
    (data / "empty dir").mkdir(mode=0o711)
    host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert host.observed.notes() == "[schema 2] first note\n[schema 2] second note\n"
    assert (data / "empty dir").is_dir()
    assert (host.observed.answer(), host.observed.known(), host.observed.alerts()) == ("5.0.1", V2, [])
    assert host.program.reconcile() == "noop-healthy"
    host.observed.check()


def test_the_marquee_data_and_version_come_back_together(host: EngineHost) -> None:
    before = host.observed.digest()
    host.release(V2, SCHEMA="2", FAIL="after")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    assert host.observed.digest() == before
    assert (host.observed.answer(), host.observed.known()) == ("5.0.0", V1)
    [alert] = host.observed.alerts()
    assert (alert.reason, alert.attempted, alert.last_good, alert.recovered) == ("rollback", V2, V1, True)
    still = fingerprint(host)
    assert host.program.reconcile() == f"held-quarantined:{V1}->{V2}"
    assert fingerprint(host) == still
    assert len(host.observed.alerts()) == 1
    assert host.observed.history() == [f"deployed:{V1}", f"rolled-back:{V2}->{V1}"]
    host.observed.check()


def test_data_that_forbids_its_removal_or_is_nested_without_end_stops_no_rollback(
    host: EngineHost, as_root: None
) -> None:
    """A release leaves it, twice; and a good one after that finds nothing in its way."""
    before = host.observed.digest()

    def leave(name: str) -> None:
        if name == "back-undeploy:before":
            data = host.observed.data()
            (data / "deep").mkdir()
            descend(data / "deep", 1_500, "n" * 20, lambda _fd, _level: None)
            (data / "kept.db").write_text("x")
            subprocess.run(["chattr", "+i", data / "kept.db", data / "deep"], check=True)
            subprocess.run(["chattr", "+a", data], check=True)

    for tag in (V2, V3):
        host.release(tag, SCHEMA="2", FAIL="after")
        assert host.program.reconcile(leave) == f"rolled-back:{tag}->{V1}"
        assert host.observed.digest() == before
        assert host.observed.answer() == "5.0.0"
    host.release("1.0.3+5.0.3", SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->1.0.3+5.0.3"
    assert sorted(path.name for path in host.observed.data().parent.iterdir()) == [".ci-warm-data.json", "_data"]
    assert host.observed.alerts() == []
    host.observed.check()


@pytest.mark.parametrize(
    ("tag", "notes", "reason"),
    [("2.0.0+5.0.1", "", "major"), ("1.0.1+6.0.0", "", "major"), (V2, "Needs a manual migration", "manual-migration")],
)
def test_a_hold_touches_nothing(host: EngineHost, tag: str, notes: str, reason: str) -> None:
    host.release(tag, notes=notes)
    still = fingerprint(host)
    assert host.program.reconcile() == f"held-{reason}:{V1}->{tag}"
    assert fingerprint(host) == still
    [alert] = host.observed.alerts()
    assert notes in str(alert.notes)
    assert host.observed.answer() == "5.0.0"


def test_a_converged_pass_moves_no_service_version(host: EngineHost) -> None:
    still = fingerprint(host)
    assert host.program.reconcile() == "noop-healthy"
    assert fingerprint(host) == still


def test_a_recipe_that_wants_silent_rollbacks_does_not_get_them(tmp_path: Path) -> None:
    """Its update_config says rollback; a broken stateless release would end 'completed' on the old version."""
    with engine_host(tmp_path / "stateless", "swarm", stateful=False) as host:
        host.release(V1)
        host.program.reconcile()
        host.release(V2, FAIL="before")
        outcome = host.program.outcome()
        assert str(outcome.result) == f"rolled-back:{V2}->{V1}", outcome
        spec = json.loads(docker("service", "inspect", f"{host.stack}_app"))[0]["Spec"]
        assert spec["UpdateConfig"]["FailureAction"] == "pause"
        assert host.observed.answer() == "5.0.0"


def test_an_image_that_is_not_there_is_refused_before_anything_is_stopped(host: EngineHost) -> None:
    image = host.release(V2)
    docker("rmi", image)
    host.images.remove(image)
    still = fingerprint(host)
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    assert fingerprint(host) == still


def two_services(image_line: str = "IMAGE", *, keep: bool = True) -> str:
    document = json.loads(recipes.compose(image_line, stateful=True))
    if keep:
        worker = {
            "image": image_line,
            "command": ["sleep", "1000"],
            "networks": ["internal"],
            "stop_grace_period": "0s",
        }
        document["services"]["worker"] = {**worker, "deploy": {"endpoint_mode": "dnsrr"}}
    return json.dumps(document)


def test_services_that_a_release_drops_are_removed(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm") as host:
        host.release(V1, compose=two_services())
        assert host.program.reconcile() == f"deployed:{V1}"
        host.release(V2, compose=two_services(keep=False))
        assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
        assert [s.name for s in host.program.build().ports.engine.observe_stack(host.stack).services] == ["app"]


def test_stateless_orphans_are_pruned_after_settling(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm", stateful=False) as host:
        one = json.loads(two_services())
        del one["services"]["app"]["volumes"], one["volumes"]
        host.release(V1, compose=json.dumps(one))
        host.program.reconcile()
        del one["services"]["worker"]
        host.release(V2, compose=json.dumps(one))
        assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
        assert [s.name for s in host.program.build().ports.engine.observe_stack(host.stack).services] == ["app"]


def with_config(text: str) -> tuple[str, dict[str, str]]:
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    document["configs"] = {"greeting": {"file": "greeting.txt", "name": "${STACK_NAME}_greeting_v1"}}
    document["services"]["app"]["configs"] = [{"source": "greeting", "target": "/greeting"}]
    return json.dumps(document), {"greeting.txt": text}


def test_a_config_with_new_content_under_its_old_name_is_no_obstacle(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm") as host:
        for tag, text in ((V1, "hello\n"), (V2, "good bye\n")):
            document, files = with_config(text)
            (host.home / "recipe" / "greeting.txt").write_text(files["greeting.txt"])
            host.release(tag, compose=document)
        # Both tags exist; the first pass takes the newest, so pin to go step by step.
        host.write_spec(recipe={"url": host.recipe.url, "track": V1})
        assert host.program.reconcile() == f"deployed:{V1}"
        host.write_spec()
        assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
        container = docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}")
        assert docker("exec", container, "cat", "/greeting") == "good bye"


def test_a_release_that_turns_templating_on_for_an_unchanged_file_is_deployed(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm") as host:
        (host.home / "recipe" / "greeting.txt").write_text('hello {{ env "WHO" }}\n')
        for tag, more in ((V1, {}), (V2, {"template_driver": "golang"})):
            document = json.loads(with_config("")[0])
            document["configs"]["greeting"] |= more
            document["services"]["app"]["environment"].append("WHO=x")
            host.release(tag, compose=json.dumps(document))
        host.write_spec(recipe={"url": host.recipe.url, "track": V1})
        assert host.program.reconcile() == f"deployed:{V1}"
        container = docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}")
        assert docker("exec", container, "cat", "/greeting") == 'hello {{ env "WHO" }}'
        host.write_spec()
        assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
        container = docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}")
        assert docker("exec", container, "cat", "/greeting") == "hello x"
        assert host.program.reconcile() == "noop-healthy"


def test_edits_by_hand_are_healed(host: EngineHost) -> None:
    before = host.observed.notes()
    docker("service", "update", "--detach", "--env-add", "BY_HAND=1", f"{host.stack}_app")
    outcome = host.program.outcome()
    assert str(outcome.result) == f"healed:{V1}", outcome.evidence
    docker("service", "scale", "--detach", f"{host.stack}_app=0")
    outcome = host.program.outcome()
    assert str(outcome.result) == f"healed:{V1}", outcome.evidence
    docker("service", "rm", f"{host.stack}_app")
    assert host.program.reconcile() == f"deployed:{V1}"
    assert host.program.reconcile() == "noop-healthy"
    assert (host.observed.answer(), host.observed.notes()) == ("5.0.0", before)
    host.observed.check()


def test_an_image_that_a_hand_put_into_an_app_without_data_is_healed(tmp_path: Path, swarm: str) -> None:
    """With data it may have changed it, and is left alone: test_hands."""
    with engine_host(tmp_path / "stateless", "swarm", stateful=False) as host:
        host.release(V1)
        host.deploy_first()
        other = host.image("9.9.9")
        docker("service", "update", "--detach", "--no-resolve-image", "--image", other, f"{host.stack}_app")
        outcome = host.program.outcome()
        assert str(outcome.result) == f"healed:{V1}", outcome.evidence
        assert host.observed.answer() == "5.0.0"


def test_a_lost_volume_is_a_hold_and_not_an_empty_app(host: EngineHost) -> None:
    before = host.observed.notes()
    host.release(V2, SCHEMA="2")
    host.program.reconcile()
    engine = host.program.build().ports.engine
    assert isinstance(engine, SwarmEngine)
    engine.undeploy(host.stack)
    host.program.containers.remove_dead(host.program.containers.holders(host.stack, []))
    docker("volume", "rm", f"{host.stack}_data")
    assert host.program.reconcile() == f"held-volumes-changed:{V2}"
    assert engine.observe_volumes([f"{host.stack}_data"]) == {}
    assert host.program.command("rollback", host.name, "--reason", "the volume is gone", "--yes").returncode == 0
    assert (host.observed.known(), host.observed.answer(), host.observed.notes()) == (V1, "5.0.0", before)
    host.observed.check()


def test_a_manual_rollback_brings_version_and_data_back(host: EngineHost) -> None:
    host.release(V2, SCHEMA="2")
    host.program.reconcile()
    app = host.program.build()
    from reconciler.engine.context import Context
    from reconciler.engine.live.reconcile import roll_back
    from reconciler.engine.release.facts import collect_facts

    context = Context(ports=app.ports, settings=app.settings, spec=app.specs[0], actor="ops")
    outcome = roll_back(context, collect_facts(context, app.ports.engine.look(), None), "users complain")
    assert str(outcome.result) == f"rolled-back:{V2}->{V1}", outcome
    assert (host.observed.answer(), host.observed.notes(), host.observed.known()) == (
        "5.0.0",
        "first note\nsecond note\n",
        V1,
    )
    assert host.program.reconcile() == f"held-quarantined:{V1}->{V2}"
    host.observed.check()


def test_no_suitable_node_is_a_host_fault_and_quarantines_nothing(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm", settings={"pending": "2s"}) as host:
        host.release(V1)
        host.program.reconcile()
        document = json.loads(recipes.compose("IMAGE", stateful=True))
        document["services"]["app"]["deploy"]["placement"] = {"constraints": ["node.labels.moon == full"]}
        host.release(V2, compose=json.dumps(document))
        outcome = host.program.outcome()
        assert str(outcome.result) == f"rolled-back:{V2}->{V1}", outcome
        assert "no suitable node" in str(outcome.evidence)
        app = host.program.build()
        memory = app.store.memory(app.specs[0].app)
        assert memory.quarantine == ()
        assert memory.host_faults is not None
        assert host.program.reconcile() == f"held-host:{V1}->{V2}"


def test_global_services_and_zero_replicas_settle(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm", stateful=False) as host:
        document = json.loads(two_services())
        del document["services"]["app"]["volumes"], document["volumes"]
        document["services"]["app"]["deploy"]["mode"] = "global"
        document["services"]["worker"]["deploy"]["replicas"] = 0
        host.release(V1, compose=json.dumps(document))
        assert host.program.reconcile() == f"deployed:{V1}"
        assert host.program.reconcile() == "noop-healthy"


def test_three_releases_in_a_row_leave_no_leaks(host: EngineHost) -> None:
    def count() -> tuple[int, ...]:
        kinds = (("volume", "ls", "-q"), ("network", "ls", "-q"), ("config", "ls", "-q"), ("ps", "-aq"))
        ours = f"label=com.docker.stack.namespace={host.stack}"
        pins = len(docker("ps", "-aq", "--filter", f"label=ci-warm.pin={host.name}").split())
        return (*(len(docker(*kind, "--filter", ours).split()) for kind in kinds), pins)

    host.release(V2, SCHEMA="2")
    host.program.reconcile()
    before = count()
    host.release(V3, SCHEMA="3")
    assert host.program.reconcile() == f"upgraded:{V2}->{V3}"
    host.release("1.0.3+5.0.3", FAIL="after", SCHEMA="4")
    assert host.program.reconcile() == f"rolled-back:1.0.3+5.0.3->{V3}"
    *after, pins = count()
    assert after == list(before[:-1])
    assert pins == 1, "the fallback went with the snapshot, and its pin with it"
    host.observed.check()


def test_what_the_deploy_command_said_is_in_the_evidence(host: EngineHost) -> None:
    compose = json.loads(recipes.compose("IMAGE", stateful=True))
    # Which plugins an engine has only it can say, when it is asked to make the network.
    compose["networks"]["internal"] = {"driver": "nope", "name": f"{host.stack}_other"}
    host.release(V2, compose=json.dumps(compose), SCHEMA="2")
    before = host.observed.notes()
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    [alert] = host.observed.alerts()
    assert 'plugin "nope" not found' in " ".join(alert.evidence), alert.evidence
    assert (host.observed.answer(), host.observed.notes()) == ("5.0.0", before)
    host.observed.check()


def test_a_mended_release_comes_after_a_first_deploy_that_failed(tmp_path: Path) -> None:
    """The volumes are of our own failed deploy, and the history says so: no human is needed."""
    with engine_host(tmp_path / "host", "swarm") as host:
        host.release(V1, FAIL="after")
        assert host.program.reconcile() == f"deploy-failed:{V1}"
        host.release(V2)
        assert host.program.reconcile() == f"deployed:{V2}"
        assert host.observed.alerts() == []


def test_what_is_scaled_is_left_as_it_is_where_the_spec_says_so(tmp_path: Path) -> None:
    """Also by an operator who stops a service for a while; another edit is still drift."""
    with engine_host(tmp_path / "host", "swarm") as host:
        doc = json.loads(recipes.compose("IMAGE", stateful=True))
        doc["services"]["worker"] = {"image": "IMAGE", "command": ["sleep", "600"], "stop_grace_period": "0s"}
        host.release(V1, compose=json.dumps(doc))
        host.deploy_first()
        engine, worker = host.program.build().ports.engine, f"{host.stack}_worker"

        def scale(replicas: int) -> None:
            docker("service", "scale", "--detach", f"{worker}={replicas}")

        def runs(replicas: int) -> bool:
            found = engine.observe_stack(host.stack).service("worker")
            return found is not None and found.running == replicas

        scale(2)
        assert host.program.reconcile() == f"healed:{V1}"
        host.write_spec(drift={"ignore": ["replicas"]})
        assert host.program.reconcile() == f"reconfigured:{V1}"
        for replicas in (2, 0):
            scale(replicas)
            until(partial(runs, replicas), 30, f"{replicas} run")
            assert host.program.reconcile() == "noop-healthy"
            assert runs(replicas)
        docker("service", "update", "--detach", "--env-add", "BY=hand", worker)
        until(lambda: host.program.reconcile() == f"healed:{V1}", 30, "another edit is put right")
