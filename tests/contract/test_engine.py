"""One suite for both engines: what `ports.Engine` promises."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.demo import recipes
from reconciler.model.errors import ActError
from reconciler.model.ids import AppName, StackName
from reconciler.model.release import Bundle
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture(params=["embedded", pytest.param("swarm", marks=pytest.mark.swarm)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHost]:
    if request.param == "swarm":
        request.getfixturevalue("swarm")
    with engine_host(tmp_path / "host", request.param) as made:
        yield made


def bundle(host: EngineHost) -> Bundle:
    app = host.program.build()
    known = app.store.known_good(app.specs[0].app)
    assert known is not None
    return app.store.bundle(app.specs[0].app, known.release.bundle)


def test_what_was_deployed_is_what_is_seen(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    engine = host.program.build().ports.engine
    world = engine.look()
    seen = engine.observe_stack(host.stack)
    [service] = seen.services
    assert [s.name for s in world.stack(host.stack).services] == ["app"] == [service.name]
    assert (service.replicas, service.running) == (1, 1)
    assert service.labels[LABEL_BUNDLE] == bundle(host).id
    assert service.image == bundle(host).images["app"]
    assert "sha256:" in service.image
    [task] = [task for task in seen.tasks if task.state == "running"]
    assert task.template_fingerprint == service.template_fingerprint
    assert [c.state for c in seen.containers if c.task_id == task.id] == ["running"]
    assert world.volumes[f"{host.stack}_data"].restorable


def test_deploying_the_same_again_changes_no_task(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    app = host.program.build()
    before = app.ports.engine.observe_stack(host.stack)
    said = app.ports.engine.deploy(bundle(host), app.ports.workdir)
    assert said.code == 0, said.output
    after = app.ports.engine.observe_stack(host.stack)
    assert {t.id for t in after.tasks} == {t.id for t in before.tasks}
    assert [s.spec_fingerprint for s in after.services] == [s.spec_fingerprint for s in before.services]


def test_what_was_deployed_is_not_refused_and_its_networks_can_go(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    engine = host.program.build().ports.engine
    assert not engine.check_document(bundle(host).doc)
    names = [one.name for one in engine.observe_stack(host.stack).networks]
    assert engine.find_network_users(host.stack, names) == ()
    engine.undeploy(host.stack)
    holders = host.program.containers.holders
    until(lambda: not [h for h in holders(host.stack, []) if h.state == "running"])
    host.program.containers.remove_dead(holders(host.stack, []))
    engine.remove_networks(host.stack, names)
    assert engine.observe_stack(host.stack).networks == ()
    engine.remove_networks(host.stack, names)  # nothing there: fine


def test_undeploying_keeps_the_data_and_leaves_no_writer(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    engine = host.program.build().ports.engine
    volume = f"{host.stack}_data"
    [holder] = host.program.containers.holders(host.stack, [volume])
    assert (holder.state, holder.owned, holder.of_stack) == ("running", True, True)
    assert engine.undeploy(host.stack) == (), "it ended by itself"
    until(lambda: not [h for h in host.program.containers.holders(host.stack, [volume]) if h.state == "running"])
    host.program.containers.remove_dead(host.program.containers.holders(host.stack, [volume]))
    assert host.program.containers.holders(host.stack, [volume]) == ()
    assert engine.observe_stack(host.stack).services == ()
    assert (host.observed.data() / "notes.txt").exists()
    engine.undeploy(host.stack)  # nothing there: fine


def test_an_app_that_ignores_sigterm_is_gone_after_its_grace(host: EngineHost) -> None:
    compose = recipes.compose("IMAGE", stateful=True).replace('"5s"', '"1s"')
    host.release(V1, compose=compose, IGNORE_TERM="1")
    host.deploy_first()
    engine = host.program.build().ports.engine
    assert engine.undeploy(host.stack) == ("app",), "what had to be killed is told"
    assert not [h for h in host.program.containers.holders(host.stack, [f"{host.stack}_data"]) if h.state == "running"]


def test_pinned_images_survive_every_pruning(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    app = host.program.build()
    engine, pinned = app.ports.engine, bundle(host).images["app"]
    engine.undeploy(host.stack)
    host.program.containers.remove_dead(host.program.containers.holders(host.stack, []))
    _prune(host)
    assert pinned in engine.observe_images([pinned])
    engine.protect_images(app.specs[0].app, [])
    _prune(host)
    assert pinned not in engine.observe_images([pinned])


def _prune(host: EngineHost) -> None:
    from reconciler.adapters.embedded.engine import EmbeddedEngine
    from reconciler.adapters.swarm.engine import SwarmEngine

    engine = host.program.build().ports.engine
    if isinstance(engine, EmbeddedEngine):
        engine.images.prune(engine.kept_images())
    elif isinstance(engine, SwarmEngine):
        engine.client.write("prune", "prune_images", {"dangling": False, "label": f"ci-warm.demo={host.mark}"})


def test_an_image_that_nobody_has_is_a_permanent_error(host: EngineHost) -> None:
    engine = host.program.build().ports.engine
    assert engine.observe_images(["127.0.0.1:1/nobody/has:this", "NOT a reference"]) == {}
    with pytest.raises(ActError):
        engine.pull("127.0.0.1:1/nobody/has:this")


def test_secrets_are_made_once(host: EngineHost) -> None:
    engine = host.program.build().ports.engine
    name = f"{host.stack}_token_v1"
    assert engine.observe_named("secret", [name]) == frozenset()
    engine.create_secret(AppName("notes"), host.stack, name, b"hunter2hunter2")
    engine.create_secret(AppName("notes"), host.stack, name, b"another value")
    assert engine.observe_named("secret", [name, "other"]) == {name}


def test_volumes_that_are_not_there_are_not_seen_and_can_be_made(host: EngineHost) -> None:
    engine = host.program.build().ports.engine
    name = f"{host.stack}_data"
    assert engine.observe_volumes([name]) == {}
    made = engine.create_volume(host.stack, name)
    assert Path(made.path).is_dir()
    assert engine.observe_volumes([name])[name].path == made.path


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"FAIL": "before"}, "non-zero exit (3)"),
        ({"FAIL": "after", "SCHEMA": "2"}, "non-zero exit (3)"),
        ({"FAIL": "late", "LATE_S": "0.3"}, "non-zero exit (3)"),
    ],
    ids=["exits at once", "exits after migrating", "exits after it was seen running"],
)
def test_a_broken_release_is_rolled_back_with_its_reason(host: EngineHost, env: dict[str, str], reason: str) -> None:
    host.health["min_healthy"] = "1s"
    host.write_spec()
    host.release(V1)
    host.deploy_first()
    before = host.observed.notes()
    host.release(V2, **env)
    outcome = host.program.outcome()
    assert str(outcome.result) == f"rolled-back:{V2}->{V1}"
    assert reason in outcome.evidence[0]
    assert (host.observed.notes(), host.observed.answer(), host.observed.known()) == (before, "5.0.0", V1)
    host.observed.check()


def test_an_unhealthy_container_is_named_before_the_deadline(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    host.release(V2, compose=recipes.compose("IMAGE", stateful=True, health=True))
    outcome = host.program.outcome()
    assert str(outcome.result) == f"rolled-back:{V2}->{V1}"
    assert "unhealthy" in outcome.evidence[0]


def test_an_answer_that_is_wrong_is_rolled_back(host: EngineHost) -> None:
    host.health["deadline"] = "20s"
    host.write_spec()
    host.release(V1)
    host.deploy_first()
    host.release(V2, FAIL="unhealthy", SCHEMA="2")
    outcome = host.program.outcome()
    assert str(outcome.result) == f"rolled-back:{V2}->{V1}"
    assert "not healthy within 20 s" in outcome.evidence[0]
    assert host.observed.notes() == "first note\nsecond note\n"
    host.observed.check()


def test_drift_is_healed_and_the_absent_come_back(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    before = host.observed.notes()
    engine = host.program.build().ports.engine
    engine.remove_services(host.stack, ["app"])
    host.deploy_first()
    assert host.program.reconcile() == "noop-healthy"
    assert host.observed.notes() == before
    host.observed.check()


def test_a_stateless_app_is_updated_in_place_and_rolled_back_by_version(tmp_path: Path, host: EngineHost) -> None:
    with engine_host(tmp_path / "stateless", host.engine, stateful=False) as app:
        app.release(V1)
        assert app.program.reconcile() == f"deployed:{V1}"
        service = app.program.build().ports.engine.observe_stack(app.stack).services[0].id
        app.release(V2)
        assert app.program.reconcile() == f"upgraded:{V1}->{V2}"
        assert app.program.build().ports.engine.observe_stack(app.stack).services[0].id == service
        app.release("1.0.2+5.0.2", FAIL="before")
        outcome = app.program.outcome()
        assert str(outcome.result) == f"rolled-back:1.0.2+5.0.2->{V2}", outcome.evidence
        assert app.observed.answer() == "5.0.1"
        assert not (app.state / app.name / "snapshot").exists()


def test_only_the_stacks_own_volumes_are_removed(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    engine = host.program.build().ports.engine
    own, other = f"{host.stack}_data", StackName(f"other-{host.mark}")
    engine.create_volume(other, f"{other}_data")
    try:
        engine.remove_volumes(host.stack, [own])
        assert set(engine.observe_volumes([own])) == {own}, "what is mounted stays"
        engine.undeploy(host.stack)

        def gone() -> bool:
            host.program.containers.remove_dead(host.program.containers.holders(host.stack, [own]))
            engine.remove_volumes(host.stack, [own, f"{other}_data", "never-was"])
            return not engine.observe_volumes([own])

        until(gone, what="its own volume is removed")
        assert set(engine.observe_volumes([f"{other}_data"])) == {f"{other}_data"}
    finally:
        engine.remove_volumes(other, [f"{other}_data"])
    assert engine.observe_volumes([f"{other}_data"]) == {}


def test_purging_leaves_nothing_of_the_stack_and_everything_of_others(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    engine = host.program.build().ports.engine
    other = StackName(f"other-{host.mark}")
    engine.create_volume(other, f"{other}_data")
    try:
        engine.create_secret(AppName("notes"), host.stack, f"{host.stack}_word_v1", b"word")
        until(lambda: engine.purge(host.stack) == (), what="the stack is purged")
        assert engine.purge(host.stack) == ()
        assert engine.observe_stack(host.stack).services == ()
        assert engine.observe_volumes([f"{host.stack}_data"]) == {}
        assert engine.observe_named("secret", [f"{host.stack}_word_v1"]) == frozenset()
        assert set(engine.observe_volumes([f"{other}_data"])) == {f"{other}_data"}
    finally:
        engine.remove_volumes(other, [f"{other}_data"])


def test_volumes_that_forbid_their_removal_are_removed_all_the_same(host: EngineHost, as_root: None) -> None:
    """An app may set inode flags; a run's stack must go whole, a canonical's volumes must be made anew."""
    engine = host.program.build().ports.engine
    mine = StackName(f"flags-{host.mark}")
    for name in (f"{mine}_one", f"{mine}_two"):
        data = Path(engine.create_volume(mine, name).path)
        aside = data.with_name(".ci-warm-aside-op")
        for folder in (data / "folder", aside):
            folder.mkdir()
            (folder / "file").write_text("x")
        subprocess.run(["chattr", "+i", data / "folder" / "file", data / "folder"], check=True)
        subprocess.run(["chattr", "+a", aside / "file", aside, data], check=True)
    engine.remove_volumes(mine, [f"{mine}_one"])
    assert set(engine.observe_volumes([f"{mine}_one", f"{mine}_two"])) == {f"{mine}_two"}
    until(lambda: engine.purge(mine) == (), what="the stack is purged")
    assert engine.observe_volumes([f"{mine}_two"]) == {}
    assert not data.parent.exists()


def test_a_command_runs_inside_and_its_end_is_told(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    ended = host.program.containers.execute(
        host.stack, "app", ["/bin/sh", "-c", "echo said; echo $VERSION >&2; exit 3"], 20
    )
    assert ended.code == 3 and {"said", "5.0.0"} <= set(ended.output.split())
    with pytest.raises(ActError):
        host.program.containers.execute(host.stack, "nobody", ["/bin/sh", "-c", "true"], 20)


def test_the_last_words_of_each_service_are_kept_when_it_died(host: EngineHost) -> None:
    host.release(V1, FAIL="before")
    said: list[str] = []

    def effect(name: str) -> None:
        if name == "settle:after":
            said.append(host.program.containers.logs(host.stack, 20).get("app", ""))

    assert host.program.reconcile(effect) == f"deploy-failed:{V1}"
    assert "failing before the migration, as told" in said[0]
