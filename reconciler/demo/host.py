"""The host that the demo plays on: a folder, specs, images, an engine. Effects: one folder, and an engine."""

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler import app as composition
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.testrun import summary
from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe
from reconciler.engine.host import one_pass
from reconciler.engine.testrun import cold, quick
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.model.errors import ReconcilerError
from reconciler.model.ids import StackName
from reconciler.model.testrun import Run, RunMode
from reconciler.ports.engine import Engine

Say = Callable[[str], None]
_HEALTH = {
    "scheme": "http",
    "path": "/health",
    "min_healthy": "300ms",
    "successes": 2,
    "interval": "50ms",
    "progress": "30s",
    "deadline": "60s",
}


@dataclass
class DemoHost:
    """What the story plays on. `broken`: promises that did not hold."""

    engine: str
    home: Path
    say: Say
    broken: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: secrets.token_hex(3))

    def image(self, name: str, version: str, env: dict[str, str]) -> str:
        """Publish an image of the notes app."""
        reference = f"ci-warm-demo-{self.mark}/{name}:{version}"
        settings = {"VERSION": version, **env}
        if self.engine == "swarm":
            recipes.swarm_image(reference, settings, volume=name == "notes")
        else:
            self.embedded().images.publish(reference, recipes.embedded_image(), settings, "2026-01-01T00:00:00Z")
        self.images.append(reference)
        return reference

    def embedded(self) -> EmbeddedEngine:
        """The embedded engine below the state root, its folders made."""
        engine = EmbeddedEngine(self.home / "state" / "engine")
        (self.home / "state").mkdir(exist_ok=True)
        (self.home / "state").chmod(0o750)
        engine.prepare()
        return engine

    def spec(self, name: str, recipe: Recipe, *, stateful: bool, kind: str = "live") -> None:
        """Write a spec as an operator would."""
        self.ports[name] = free_port()
        spec = {
            "name": name,
            "kind": kind,
            "recipe": {"url": recipe.url},
            "domain": f"{name}-{self.mark}.example.test",
            "stateful": stateful,
            "env": {"PUBLISHED_PORT": str(self.ports[name])},
            "health": {**_HEALTH, "port": self.ports[name]},
            "upgrade": {"bake": "0s"},
        }
        folder = self.home / "etc" / "apps"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(json.dumps(spec, indent=1))
        settings = {"engine": self.engine, "git": {"allow_file": True}, "limits": {"steady_probe": "3s"}}
        (self.home / "etc" / "config.yaml").write_text(json.dumps(settings))

    def app(self) -> composition.App:
        """The program as the command line would build it."""
        return composition.build(self.home / "etc" / "config.yaml", self.home / "state")

    def reconcile(self, expected: dict[str, str]) -> None:
        """One pass; every result must be what the story promises."""
        app = self.app()
        for report in one_pass.run(app.ports, app.settings, app.specs, actor="demo"):
            result, wanted = str(report.outcome.result), expected[report.status.app]
            self.say(f"RECONCILE RESULT: {report.status.app} {result}")
            if result != wanted:
                wrong = f"{report.status.app}: {result} instead of {wanted} ({report.outcome.evidence})"
                # At once: what comes next may end the story, and this is why.
                self.say(f"  NOT {wrong}")
                self.broken.append(wrong)

    def run(self, mode: RunMode) -> Run:
        """A test run of the canonical at the latest release; its summary is shown."""
        app = self.app()
        environment = composition.run_environment(app)
        plan = testrun_plan.plan_run(
            environment, testrun_plan.RunRequest(spec=app.spec("canon"), mode=mode, actor="demo")
        )
        done = cold.run(environment, plan) if mode is RunMode.COLD else quick.run(environment, plan)
        for line in summary.summary(done).splitlines():
            self.say(f"      {line}")
        return done

    def check(self, what: str, good: bool) -> None:
        """Say one promise and whether it holds."""
        self.say(f"  {'ok ' if good else 'NOT'} {what}")
        if not good:
            self.broken.append(what)

    def data(self) -> str:
        """A digest of every byte in the notes app's volume."""
        app = self.app()
        volumes = app.ports.engine.observe_volumes([f"{app.spec('notes').stack_name}_data"])
        root = Path(next(iter(volumes.values())).path)
        total = hashlib.sha256()
        for path in sorted(root.rglob("*")):
            total.update(str(path.relative_to(root)).encode() + (path.read_bytes() if path.is_file() else b""))
        return total.hexdigest()

    def notes(self) -> str:
        """What the running app says its notes are."""
        with socket.create_connection(("127.0.0.1", self.ports["notes"]), timeout=5) as peer:
            peer.sendall(b"GET /notes HTTP/1.0\r\nHost: notes\r\n\r\n")
            found = b""
            while part := peer.recv(4096):
                found += part
        return found.partition(b"\r\n\r\n")[2].decode()

    def clear(self) -> None:
        """Remove whatever the story put on the engine."""
        if not (self.home / "etc" / "config.yaml").exists():
            return
        app = self.app()
        engine = app.ports.engine
        for spec in app.specs:
            try:
                engine.undeploy(spec.stack_name)
                engine.protect_images(spec.app, [])
                clear_stack(engine, spec.stack_name)
            except ReconcilerError as exc:
                self.say(f"cleaning up {spec.name}: {exc}")
        if isinstance(engine, SwarmEngine):
            for reference in self.images:
                engine.client.write("remove image", "remove_image", reference, force=True)


def clear_stack(engine: Engine, stack: StackName) -> None:
    """Remove a demo stack whole: what undeploying keeps on purpose, too."""
    deadline = time.monotonic() + 30
    while engine.purge(stack) and time.monotonic() < deadline:
        time.sleep(0.05)


def free_port() -> int:
    """A port that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
