"""A host whose recipes are the examples of the docs, with images that are built here in place of the official ones."""

import importlib.util
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from reconciler import app as composition
from reconciler import doctor
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo.host import clear_stack
from reconciler.engine.host import one_pass
from reconciler.model.alert import Alert
from reconciler.state.alerts import AlertStore
from tests.systemd.host import PROJECT

PREFIX = "ci-warm-live/"
Patch = Callable[[Path], None]


def example_maker() -> ModuleType:
    """`docs/examples/make_recipes.py`, which is not part of the package."""
    path = PROJECT / "docs" / "examples" / "make_recipes.py"
    spec = importlib.util.spec_from_file_location("make_recipes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = example_maker()


def as_built_here(text: str) -> str:
    """A compose file with our images in place of the official ones."""
    lines = []
    for line in text.splitlines():
        head, found, image = line.partition("image: ")
        lines.append(f"{head}{found}{PREFIX}{image.rpartition('/')[2]}" if found else line)
    return "\n".join(lines) + "\n"


class Site:
    """One host on the test Swarm."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mark = secrets.token_hex(3)
        self.state = home / "state"
        (home / "etc" / "apps").mkdir(parents=True)
        settings = {"git": {"allow_file": True}, "limits": {"steady_probe": "2s"}}
        (home / "etc" / "config.yaml").write_text(json.dumps(settings))
        self.state.mkdir(mode=0o750)
        self.state.chmod(0o750)
        self.networks: list[str] = []

    def publish(self, recipe: str, tag: str, patch: Patch | None = None, app: str = "", database: str = "15") -> None:
        """One release of an example recipe, `patch`ed as a test needs it."""
        folder = self.home / "recipes" / recipe
        if not (folder / ".git").exists():
            folder.mkdir(parents=True)
            MAKER.git(folder, "init", "--quiet", "--initial-branch=main")
        version = app or tag.partition("+")[2]
        MAKER.write(PROJECT / "docs" / "examples" / "recipes" / recipe, folder, tag, version, database)
        for path in folder.glob("compose*.yml"):
            path.write_text(as_built_here(path.read_text()))
        if patch is not None:
            patch(folder)
        MAKER.git(folder, "add", "--all")
        MAKER.git(folder, "commit", "--quiet", "--allow-empty", "--message", f"Release {tag}")
        MAKER.git(folder, "tag", "--annotate", "--message", tag, tag)

    def withdraw(self, recipe: str, tag: str) -> None:
        """Take a release back."""
        MAKER.git(self.home / "recipes" / recipe, "tag", "--delete", tag)

    def url(self, recipe: str) -> str:
        """Where a recipe is fetched from."""
        return f"file://{self.home / 'recipes' / recipe}"

    def enrol(self, name: str, spec: Mapping[str, Any]) -> None:
        """Write a spec."""
        (self.home / "etc" / "apps" / f"{name}.yaml").write_text(json.dumps({"name": name, **spec}))

    def build(self) -> composition.App:
        """The program as a fresh process would build it."""
        return composition.build(self.home / "etc" / "config.yaml", self.state)

    def reconcile(self) -> dict[str, str]:
        """One pass: the result of each app."""
        app = self.build()
        return {r.status.app: str(r.outcome.result) for r in one_pass.run(app.ports, app.settings, app.specs)}

    def run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        """The program's command line."""
        options = ["--config", str(self.home / "etc" / "config.yaml"), "--state-dir", str(self.state)]
        argv = [sys.executable, "-m", "reconciler", *options, *args]
        return subprocess.run(argv, capture_output=True, text=True, timeout=300)

    def alerts(self) -> list[Alert]:
        """Open alerts."""
        return [alert for _, alert in AlertStore(self.state / "alerts").open()]

    def alert_files(self) -> list[str]:
        """Their names."""
        return sorted(path.name for path in (self.state / "alerts").glob("*.json"))

    def last_good(self, name: str) -> str:
        """The version on record."""
        return (self.state / name / "last_good").read_text().strip()

    def containers(self, stack: str) -> list[str]:
        """Ids of the running containers of a stack."""
        label = f"label=com.docker.stack.namespace={stack}"
        ran = subprocess.run(["docker", "ps", "-q", "--filter", label], capture_output=True, text=True, check=True)
        return sorted(ran.stdout.split())

    def inside(self, service: str, *argv: str) -> str:
        """Run a program in the container of a service."""
        label = f"label=com.docker.swarm.service.name={service}"
        found = subprocess.run(["docker", "ps", "-q", "--filter", label], capture_output=True, text=True, check=True)
        [container] = found.stdout.split()
        ran = subprocess.run(["docker", "exec", container, *argv], capture_output=True, text=True, check=True)
        return ran.stdout

    def check(self) -> None:
        """What must hold at the end of every test."""
        found = [
            f"{f.invariant} {f.path}: {f.message}"
            for f in doctor.examine(self.state, deep=True)
            if f.severity != "note"
        ]
        assert found == []

    def clear(self) -> None:
        """Leave nothing behind on the engine; the images stay, they are shared."""
        app = self.build()
        engine = app.ports.engine
        assert isinstance(engine, SwarmEngine)
        for spec in app.specs:
            engine.undeploy(spec.stack_name)
            engine.protect_images(spec.app, [])
            clear_stack(engine, spec.stack_name)
        for network in self.networks:
            subprocess.run(["docker", "network", "rm", network], capture_output=True)


@contextmanager
def site(home: Path) -> Iterator[Site]:
    """A site that is cleared whatever happens."""
    home.mkdir(parents=True, exist_ok=True)
    made = Site(home)
    try:
        yield made
    finally:
        made.clear()
