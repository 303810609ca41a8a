"""Many converged apps on a Swarm at little cost: services of no replicas, records as after a deploy. Effects: those."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from reconciler import app as composition
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.release import render
from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe, Version
from reconciler.model.app import AppSpec
from reconciler.model.memory import Memory, TagSeen
from reconciler.model.release import KnownGood, Release
from reconciler.model.settings import GitSettings, Settings
from tests.hosts.engine_host import V1


@contextmanager
def idle_apps(home: Path, count: int) -> Iterator[composition.App]:
    """So many apps of one recipe, which is not fetched; taken away at the end."""
    mark = secrets.token_hex(3)
    recipe = Recipe(home / "recipe", stateful=False)
    image = f"idle-{mark}/app:5.0.0"
    recipes.swarm_image(image, {})
    commit = recipe.release(Version(tag=V1, image=image))
    specs = tuple(
        AppSpec.model_validate(
            {"name": f"b{mark}-{n}", "recipe": {"url": recipe.url}, "domain": f"b{mark}-{n}.test", "stateful": False}
        )
        for n in range(count)
    )
    settings = Settings(git=GitSettings(allow_file=True), fetch_every=3600)
    app = composition.assemble(settings, specs, home / "state")
    engine = app.ports.engine
    assert isinstance(engine, SwarmEngine)
    try:
        for spec in specs:
            _create(engine, spec, image, mark)
        _note(app, commit)
        yield app
    finally:
        for raw in engine.client.read("services", "services", filters={"label": f"idle={mark}"}):
            engine.client.write("remove", "remove_service", raw["ID"])
        engine.client.write("remove image", "remove_image", image, force=True)


def service_versions(app: composition.App) -> list[int]:
    """Of the services of all stacks of these apps: they move with every write."""
    engine = app.ports.engine
    assert isinstance(engine, SwarmEngine)
    stacks = {str(spec.stack_name) for spec in app.specs}
    found = engine.client.read("services", "services")
    ours = [raw for raw in found if raw["Spec"]["Labels"].get("com.docker.stack.namespace") in stacks]
    return sorted(raw["Version"]["Index"] for raw in ours)


def _create(engine: SwarmEngine, spec: AppSpec, image: str, mark: str) -> None:
    labels = {"com.docker.stack.namespace": str(spec.stack_name), "idle": mark, render.LABEL_BUNDLE: "b" * 64}
    engine.client.write(
        "create service",
        "create_service",
        {"ContainerSpec": {"Image": image}},
        name=f"{spec.stack_name}_app",
        labels=labels,
        mode={"Replicated": {"Replicas": 0}},
    )


def _note(app: composition.App, commit: str) -> None:
    world = app.ports.engine.look()
    now = datetime.now(UTC)
    for spec in app.specs:
        services = {s.name: s.spec_fingerprint for s in world.stack(spec.stack_name).services}
        release = Release(version=V1, commit=commit, bundle="b" * 64)
        app.store.put_known_good(
            KnownGood(
                app=spec.name,
                stack=spec.stack_name,
                release=release,
                services=services,
                at=now,
                desired=render.desired_digest(spec, {}),
            )
        )
        app.store.put_memory(Memory(app=spec.name, tags={V1: TagSeen(commit=commit, first_seen=now)}))
