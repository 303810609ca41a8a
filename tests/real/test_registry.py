"""Rollback preflight against a real registry: present, missing, offline, malformed, created; and digests that move."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.registry import HttpRegistry
from reconciler.demo import recipes
from tests.conftest import RegistryServer
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]


def docker(*args: str) -> None:
    subprocess.run(["docker", *args], capture_output=True, check=True)


@pytest.fixture
def host(tmp_path: Path, registry_server: RegistryServer) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm", registry=registry_server.address) as made:
        yield made


def publish(host: EngineHost, tag: str, *, keep: bool = False, **env: str) -> str:
    """A release whose image is only in the registry."""
    image = host.release(tag, **env)
    docker("push", image)
    if not keep:
        docker("rmi", image)
    return image


def test_tells_present_missing_offline_and_malformed_apart(host: EngineHost, registry_server: RegistryServer) -> None:
    image = publish(host, V1)
    registry = HttpRegistry({})
    gone = f"{registry_server.address}/nobody/has:this"
    answers = registry.lookup([image, gone, "NOT a reference", "127.0.0.1:1/away:1"], details=True)
    assert (answers[image].exists, answers[image].error) == (True, "")
    assert answers[image].created.startswith("20")
    assert answers[image].digest.startswith("sha256:")
    assert answers[gone].exists is False
    assert (answers["NOT a reference"].exists, answers["NOT a reference"].error) == (None, "malformed image reference")
    assert answers["127.0.0.1:1/away:1"].exists is None
    assert "cannot be asked" in answers["127.0.0.1:1/away:1"].error


def test_images_are_pulled_pinned_by_digest_and_rolled_back_without_the_registry(
    host: EngineHost, registry_server: RegistryServer
) -> None:
    publish(host, V1)
    assert host.program.reconcile() == f"deployed:{V1}"
    [service] = host.program.build().ports.engine.observe_stack(host.stack).services
    assert "@sha256:" in service.image
    publish(host, V2, SCHEMA="2", FAIL="after")

    def stop_registry(point: str) -> None:
        if point == "undeploy:before":
            registry_server.stop()

    try:
        assert host.program.reconcile(stop_registry) == f"rolled-back:{V2}->{V1}"
    finally:
        registry_server.start()
    assert host.observed.answer() == "5.0.0"
    host.observed.check()


def test_a_registry_that_is_away_holds_a_release_that_is_only_there(
    host: EngineHost, registry_server: RegistryServer
) -> None:
    publish(host, V1)
    host.program.reconcile()
    publish(host, V2)
    registry_server.stop()
    try:
        outcome = host.program.outcome()
    finally:
        registry_server.start()
    assert str(outcome.result) == f"held-preflight:{V1}->{V2}"
    assert "cannot be asked" in outcome.evidence[0]
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"


def test_a_tag_that_was_pushed_again_with_other_bytes_is_never_deployed(host: EngineHost) -> None:
    publish(host, V1)
    host.program.reconcile()
    image = publish(host, V2, FAIL="before")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    app = host.program.build()
    memory = app.store.memory(app.specs[0].app)
    app.store.put_memory(memory.model_copy(update={"quarantine": ()}))
    recipes.swarm_image(image, {"VERSION": "evil"})
    docker("push", image)
    docker("rmi", image)
    outcome = host.program.outcome()
    assert str(outcome.result) == f"held-tag-moved:{V1}->{V2}"
    assert host.observed.answer() == "5.0.0"


def test_preflight_names_the_image_that_a_rollback_would_miss(host: EngineHost) -> None:
    from reconciler.engine.context import Context
    from reconciler.engine.live.way_back import find_way_back_problems

    publish(host, V1)
    host.program.reconcile()
    publish(host, V2)
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    app = host.program.build()
    context = Context(ports=app.ports, settings=app.settings, spec=app.specs[0])
    known = app.store.known_good(context.app)
    assert known is not None
    assert known.fallback is not None
    assert find_way_back_problems(context, known) == []
    lost = known.fallback.release.model_copy(update={"images": {"app": f"{host.registry}/gone/app@sha256:{'0' * 64}"}})
    broken = known.model_copy(update={"fallback": known.fallback.model_copy(update={"release": lost})})
    assert "not found" in find_way_back_problems(context, broken)[0]
