"""A host to start from: settings, a recipe in git, its images, a spec that runs. Effects: files, and images.

Needs no registry and no forge: the recipe is a repository beside the settings, the images are made of this machine's
busybox. Two more releases lie on branches, so that an operator publishes them with a tag, as a maintainer would.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler import app as composition
from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe, Version
from reconciler.engine.operate import init
from reconciler.model.errors import UsageError
from reconciler.model.settings import Settings
from reconciler.state import files, new_files

NAME = "notes"
COMPOSE = """\
version: "3.8"

services:
  app:
    image: {image}
    environment:
      - GREETING=${{GREETING}}
    ports:
      - target: 8080
        published: ${{PUBLISHED_PORT}}
        mode: host
    volumes:
      - data:/data
    stop_grace_period: 5s
    deploy:
      endpoint_mode: dnsrr
      labels:
        - "coop-cloud.${{STACK_NAME}}.recipe=notes"
        - "coop-cloud.${{STACK_NAME}}.version={version}"
      restart_policy:
        condition: any
        delay: 500ms

volumes:
  data:
"""
SAMPLE = "TYPE=notes\nDOMAIN=notes.example.com\nGREETING=hello\nPUBLISHED_PORT=8080\n"
SPEC = """\
# yaml-language-server: $schema=../schema/app.schema.json
# One app: what should run here. docs/specs.md has every key.
name: notes
recipe: {{url: "file://{recipe}", track: latest}}
domain: notes.example.test
stateful: true # its data goes forward and comes back with its version
env: {{PUBLISHED_PORT: "{port}"}}
# An app behind Traefik needs none of scheme and port: https at its domain is what is asked then.
health: {{scheme: http, port: {port}, path: /health, status: [200], min_healthy: 2s}}
upgrade: {{bake: 0s}} # without this a release is watched for two minutes, and the next one waits for that
"""
SETTINGS = """
# The example's recipe is a repository on this host.
git:
  allow_file: true
"""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release of the example. `branch`: where it waits for its tag; '' has one already."""

    tag: str
    branch: str
    notes: str
    env: dict[str, str]

    @property
    def image(self) -> str:
        """What its compose file names."""
        return f"ci-warm-example/notes:{self.tag.partition('+')[2]}"


RELEASES = (
    Release(tag="1.0.0+5.0.0", branch="", notes="The first one.", env={"SCHEMA": "1"}),
    Release(tag="1.0.1+5.0.1", branch="next", notes="Rewrites the notes to schema 2.", env={"SCHEMA": "2"}),
    Release(
        tag="1.0.2+5.0.2",
        branch="broken",
        notes="Rewrites the notes to schema 3, and then does not start.",
        env={"SCHEMA": "3", "FAIL": "after"},
    ),
    Release(tag="1.0.3+5.0.3", branch="mended", notes="Schema 3, and it starts.", env={"SCHEMA": "3"}),
)


def make(config: Path, state: Path, *, engine: str, port: int) -> list[Path]:
    """Write everything, or nothing; gives what was written. Images that were made stay, whatever happens.

    Raises:
        UsageError: something is there already, or there is no static busybox.
        ObserveError, ActError: the engine does not answer or refuses an image.
    """
    recipe = config.parent / "recipes" / NAME
    texts = {
        config: f"{init.settings_text(engine)}{SETTINGS}".encode(),
        config.parent / "apps" / f"{NAME}.yaml": SPEC.format(recipe=recipe.absolute(), port=port).encode(),
        **init.schema_texts(config),
    }
    if os.path.lexists(recipe):
        raise UsageError(f"{recipe}: is there already; nothing was written")
    new_files.check_free(texts)
    publish = _publisher(engine, state)
    for release in RELEASES:
        publish(release)
    made: list[Path] = []
    try:
        made += new_files.create_all(texts, init.MODE)
        return [*made, _make_recipe(recipe)]
    except BaseException:
        new_files.remove_made(made)
        raise


def _publisher(engine: str, state: Path) -> Callable[[Release], object]:
    """What puts an image onto the engine, which answers."""
    settings = Settings.model_validate({"engine": engine})
    if engine == "embedded":
        from reconciler.adapters.embedded.engine import EmbeddedEngine

        composition.prepare_state(state, files.group_id(settings.group))
        embedded = EmbeddedEngine(state / "engine")
        embedded.prepare()
        made = "2026-01-01T00:00:00Z"
        return lambda one: embedded.images.publish(one.image, recipes.embedded_image(), _env(one), made)
    from reconciler.adapters.swarm.engine import SwarmEngine

    SwarmEngine(settings.docker_host, settings.limits).check()
    return lambda one: recipes.swarm_image(one.image, _env(one), label="example")


def _env(release: Release) -> dict[str, str]:
    return {"VERSION": release.tag.partition("+")[2], **release.env}


def _make_recipe(folder: Path) -> Path:
    """The repository, made beside its place and moved there in one rename."""
    folder.parent.mkdir(mode=0o755, exist_ok=True)
    temp = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        made = Recipe(temp, stateful=True)
        # For the tags that the operator sets.
        made.git("config", "user.name", "ci-warm example")
        made.git("config", "user.email", "example@example.invalid")
        for release in RELEASES:
            if release.branch:
                made.git("checkout", "--quiet", "-b", release.branch)
            _commit(made, release)
        made.git("checkout", "--quiet", "main")
        temp.rename(folder)
    except BaseException:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    return folder


def _commit(recipe: Recipe, release: Release) -> None:
    version = Version(
        tag=release.tag,
        image=release.image,
        compose=COMPOSE.format(image=release.image, version=release.tag),
        files={f"release/{release.tag}": f"{release.notes}\n", ".env.sample": SAMPLE},
    )
    recipe.commit(version) if release.branch else recipe.release(version)
