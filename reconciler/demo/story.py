"""The demo's story: every step says what it expects and checks it. Effects: one folder, and an engine."""

import hashlib
import json
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler import app as composition
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.testrun import summary
from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe, Version
from reconciler.engine.host import one_pass
from reconciler.engine.testrun import cold, quick
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.model.errors import ReconcilerError, UsageError
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


def tell(engine: str, folder: Path | None, say: Say) -> bool:
    """Run the whole story; False if anything was not as promised.

    Raises:
        ReconcilerError: the engine is not usable.
    """
    home = folder or Path(tempfile.mkdtemp(prefix="ci-warm-demo-"))
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise UsageError(f"{home} is not empty; the demo wants a folder of its own")
    began = time.monotonic()
    stage = _Stage(engine=engine, home=home, say=say)
    with _cleaned(stage, keep=folder is not None):
        _play(stage)
        took = time.monotonic() - began
        say("")
        if stage.broken:
            say(f"NOT as promised: {'; '.join(stage.broken)}")
        else:
            say(f"All as promised, in {took:.1f} s on the {engine} engine.")
        if folder is not None:
            say(f"Kept: ci-warm --config {home}/etc/config.yaml --state-dir {home}/state explain notes")
        say("On a real Swarm: ci-warm demo --engine swarm (root, an engine in swarm mode, a static busybox).")
    return not stage.broken


@contextmanager
def _cleaned(stage: "_Stage", *, keep: bool) -> Iterator[None]:
    """Leave nothing behind: stacks, volumes, images and the folder, whatever happens."""
    try:
        yield
    finally:
        stage.clear()
        if not keep:
            shutil.rmtree(stage.home, ignore_errors=True)


@dataclass
class _Stage:
    """The folder, the specs and the engine that the story plays on."""

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
                self.broken.append(f"{report.status.app}: {result} instead of {wanted} ({report.outcome.evidence})")

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
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _play(stage: _Stage) -> None:
    say = stage.say
    say(f"A demo of ci-warm on the {stage.engine} engine, in {stage.home}")
    ingress = Recipe(stage.home / "recipes" / "ingress", stateful=False)
    notes = Recipe(stage.home / "recipes" / "notes", stateful=True)
    ingress.release(Version(tag="1.0.0+3.1.0", image=stage.image("ingress", "3.1.0", {})))
    notes.release(Version(tag="1.0.0+5.0.0", image=stage.image("notes", "5.0.0", {"SCHEMA": "1"})))
    stage.spec("ingress", ingress, stateful=False)
    stage.spec("notes", notes, stateful=True)
    stage.spec("canon", notes, stateful=True, kind="canonical")
    idle = {"canon": "noop-idle"}

    say("\n1. First pass: both live apps are absent, and the canonical is cold: a seeding run is asked for")
    stage.reconcile({"ingress": "deployed:1.0.0+3.1.0", "notes": "deployed:1.0.0+5.0.0", "canon": "seeding"})
    say("\n2. Nothing changed: nothing is done, and the canonical is not asked for twice")
    quiet = {"ingress": "noop-healthy", "notes": "noop-healthy"}
    stage.reconcile({**quiet, "canon": "seeding:inflight"})

    say("\n3. A cold run tests the recipe from nothing; it is green, so it becomes the canonical")
    done = stage.run(RunMode.COLD)
    stage.check("green and promoted", done.result == "green" and done.promoted)
    stage.check("nothing of the run is left", done.torn_down and not done.leftovers)
    stage.reconcile({**quiet, **idle})

    say("\n4. A patch release that migrates its data, and one of the stateless ingress: both are taken")
    notes.release(Version(tag="1.0.1+5.0.1", image=stage.image("notes", "5.0.1", {"SCHEMA": "2"})))
    ingress.release(Version(tag="1.0.1+3.1.1", image=stage.image("ingress", "3.1.1", {})))
    stage.reconcile(
        {"ingress": "upgraded:1.0.0+3.1.0->1.0.1+3.1.1", "notes": "upgraded:1.0.0+5.0.0->1.0.1+5.0.1", **idle}
    )
    stage.check("the notes are all there, migrated", stage.notes() == "[schema 2] first note\n[schema 2] second note\n")

    say("\n5. A release whose notes ask for a human: held, nothing touched")
    text = "Manual migration needed: export your notes before upgrading.\n"
    files = {"release/1.1.0+5.1.0": text}
    notes.release(Version(tag="1.1.0+5.1.0", image=stage.image("notes", "5.1.0", {"SCHEMA": "3"}), files=files))
    before = stage.data()
    stage.reconcile({"ingress": "noop-healthy", "notes": "held-manual-migration:1.0.1+5.0.1->1.1.0+5.1.0", **idle})
    held = [alert for _, alert in stage.app().alerts.open()]
    stage.check("one alert, and it carries the notes", len(held) == 1 and text.strip() in str(held[0].notes))
    stage.check("not one byte of data changed", stage.data() == before)

    say("\n6. A major release: held")
    ingress.release(Version(tag="2.0.0+4.0.0", image=stage.image("ingress", "4.0.0", {})))
    stage.reconcile(
        {
            "ingress": "held-major:1.0.1+3.1.1->2.0.0+4.0.0",
            "notes": "held-manual-migration:1.0.1+5.0.1->1.1.0+5.1.0",
            **idle,
        }
    )

    _marquee(stage, notes, idle)


def _marquee(stage: _Stage, notes: Recipe, idle: dict[str, str]) -> None:
    """A release that rewrites its data and then fails; first the held one is withdrawn."""
    say = stage.say
    say("\n7. The held release is withdrawn; the next one rewrites its data and then fails")
    notes.git("tag", "--delete", "1.1.0+5.1.0")
    notes.git("rm", "--quiet", "release/1.1.0+5.1.0")
    bad = Version(tag="1.0.2+5.0.2", image=stage.image("notes", "5.0.2", {"SCHEMA": "3", "FAIL": "after"}))
    notes.release(bad)
    before = stage.data()
    held = {"ingress": "held-major:1.0.1+3.1.1->2.0.0+4.0.0", **idle}
    stage.reconcile({"notes": "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1", **held})
    app = stage.app()
    alerts = [alert for _, alert in app.alerts.open() if alert.app == "notes"]
    stage.check("the data is byte for byte as before", stage.data() == before)
    stage.check("the old version answers with the old notes", "[schema 2] first note" in stage.notes())
    last_good = (app.state / "notes" / "last_good").read_text().strip()
    stage.check("last_good has not moved", last_good == "1.0.1+5.0.1")
    stage.check(
        "one alert explains it", len(alerts) == 1 and alerts[0].reason == "rollback" and bool(alerts[0].recovered)
    )
    for text in alerts[0].evidence if alerts else ():
        say(f"      {text}")
    say("\n8. The next pass: the broken release is quarantined, there is no second attempt")
    stage.reconcile({"notes": "held-quarantined:1.0.1+5.0.1->1.0.2+5.0.2", **held})
    again = [alert for _, alert in app.alerts.open() if alert.app == "notes"]
    stage.check("still the one alert", len(again) == 1)
    lines = [line.result for line in app.history.lines() if line.app == "notes"]
    stage.check(
        "one history line per outcome",
        lines
        == [
            "deployed:1.0.0+5.0.0",
            "upgraded:1.0.0+5.0.0->1.0.1+5.0.1",
            "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1",
        ],
    )
    _quick(stage)
    from reconciler import doctor

    findings = [f.message for f in doctor.examine(app.state, deep=True) if f.severity != "note"]
    stage.check(f"doctor finds nothing {findings or ''}".rstrip(), not findings)


def _quick(stage: _Stage) -> None:
    """The broken release on the canonical's data: red, and the canonical is as before."""
    stage.say("\n9. A quick run of that broken release, on the canonical's data")
    app = stage.app()
    kept = app.state / "canon"
    before = [(kept / name).read_bytes() for name in ("canonical.json", "snapshot/manifest.json")]
    done = stage.run(RunMode.QUICK)
    after = [(kept / name).read_bytes() for name in ("canonical.json", "snapshot/manifest.json")]
    stage.check("red, with lower confidence", done.result == "red" and done.confidence == "lower")
    stage.check("known-good and its snapshot are untouched", before == after)
    running = app.ports.engine.observe_stack(app.spec("canon").stack_name).services
    stage.check("the broken image does not run", not running)
