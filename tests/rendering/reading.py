"""Two readings of the same compose files: Docker's own, and Docker's of the document that we would send. Effects: CLI.

Both are brought into one form, in which everything that makes no difference to an engine is gone.
"""

import json
import os
import posixpath
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.release import interpolate, render
from reconciler.core.release.compose import ComposeError
from reconciler.core.release.interpolate import InterpolationError
from reconciler.model.base import Json
from reconciler.model.errors import RecipeError
from reconciler.model.recipe import Rendered
from reconciler.state.specs import RecipeYaml
from tests.builders import spec
from tests.rendering.grammar import FILES

SPEC = spec()
_YAML = RecipeYaml()
_UNORDERED = ("ports", "volumes", "configs", "secrets")


@dataclass(frozen=True)
class Refused:
    """Who refused a document, and with which words."""

    words: str


Reading = Json | Refused


@dataclass(frozen=True)
class Recipe:
    """Compose files in the order in which they are laid over each other. `overlays`: how many are the spec's."""

    compose: tuple[bytes, ...]
    env: bytes = b""
    overlays: int = 0

    def named(self) -> dict[str, bytes]:
        return {f"compose.{index}.yml": text for index, text in enumerate(self.compose)}


def tool(folder: Path) -> str | None:
    """The docker CLI if it has `stack config`, else a newer one that is put into that folder; None: neither."""
    from tests.engines.engine import put_newer_cli

    found = shutil.which("docker")
    # By what it says: the CLI of Debian 12 answers with another help and exit code 0.
    asked = [found, "stack", "config", "--help"] if found else ["true"]
    if "--compose-file" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout:
        return found
    put_newer_cli(folder)
    return str(folder / "docker")


def variables(recipe: Recipe) -> dict[str, str]:
    return render.environment(SPEC, _YAML.env(recipe.env, ".env.sample"), ())


def read_raw(program: str, folder: Path, recipe: Recipe) -> Reading:
    """What Docker makes of the files as they are."""
    argv = []
    for name, text in (recipe.named() | FILES).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    for name in recipe.named():
        argv += ["--compose-file", str(folder / name)]
    found = _run(program, folder, argv, variables(recipe), b"")
    return found if isinstance(found, Refused) else _normalize(found, None, folder)


def read_ours(program: str, folder: Path, recipe: Recipe) -> Reading:
    """What Docker makes of the document that we make of them."""
    try:
        rendered = make(recipe)
    except (ComposeError, InterpolationError, RecipeError, TypeError, AttributeError, ValueError) as exc:
        return Refused(f"ours: {exc}")
    document = json.dumps(interpolate.escape(rendered.doc)).encode()
    found = _run(program, folder, ["--compose-file", "-"], {}, document)
    return found if isinstance(found, Refused) else _normalize(found, rendered.files, folder)


def make(recipe: Recipe) -> Rendered:
    named = recipe.named()
    names = list(named)
    ours, over = names[: len(names) - recipe.overlays], names[len(names) - recipe.overlays :]
    env = variables(recipe) | {"COMPOSE_FILE": ":".join(ours)}
    overlays = {name: named.pop(name) for name in over}
    content = render.RecipeContent(version="1.0.0+1", commit="c" * 40, files=named | FILES, overlays=overlays)
    return render.render(SPEC, content, env, _YAML.compose)


def _run(program: str, folder: Path, argv: Sequence[str], env: Mapping[str, str], stdin: bytes) -> Reading:
    ran = subprocess.run(
        [program, "stack", "config", *argv],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **env},
        check=False,
        timeout=60,
    )
    if ran.returncode:
        return Refused(ran.stderr.decode().strip())
    # Without its bounds, which are for recipes of strangers: a batch of them is larger.
    return dict(_YAML.compose(ran.stdout, "docker"))


def _normalize(found: Json, files: Mapping[str, str] | None, folder: Path) -> Json:
    result: Json = {"services": {}}
    for name, service in found["services"].items():
        body = {key: value for key, value in service.items() if not key.startswith("x-") and key != "build"}
        for key in _UNORDERED:
            if key in body:
                body[key] = sorted(body[key], key=repr)
        if "environment" in body:
            body["environment"] = {key: value for key, value in body["environment"].items() if value is not None}
        result["services"][name] = {key: value for key, value in body.items() if value not in ({}, [], None)}
    for section in ("networks", "volumes"):
        result[section] = {
            name: {key: value for key, value in body.items() if not key.startswith("x-")}
            for name, body in found.get(section, {}).items()
        }
    for section in ("configs", "secrets"):
        bodies = found.get(section, {})
        result[section] = {name: _file(name, body, files, folder) for name, body in bodies.items()}
    return result


def _file(key: str, body: Json, files: Mapping[str, str] | None, folder: Path) -> Json:
    """A config by its content; its name without what ours say of what it is."""
    if body.get("external"):
        return body
    path = posixpath.relpath(str(body.get("file", "")), folder) if "file" in body else ""
    stem = str(body.get("name") or f"{SPEC.stack_name}_{key}")
    if files is not None and (path in files or body.get("driver")):
        stem = stem[:-9]
    content = b64decode(files[path]) if files and path in files else FILES.get(path, b"")
    return {**body, "file": content.decode(), "name": stem[: render.MAX_NAME - 9]}
