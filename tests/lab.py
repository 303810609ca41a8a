"""A host for tests on a real engine (embedded or Swarm): recipes in git, images, specs, and the program itself."""

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from reconciler import app as composition
from reconciler import doctor
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe, Version
from reconciler.demo.story import clear_stack, free_port
from reconciler.engine.host import one_pass
from reconciler.engine.testrun import cold, quick
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.model.alert import Alert
from reconciler.model.ids import AppName, StackName
from reconciler.model.testrun import Run, RunMode
from reconciler.ports.effects import no_effect
from reconciler.ports.engine import Engine
from reconciler.ports.node import Containers
from reconciler.state.alerts import AlertStore

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"
HEALTH: dict[str, Any] = {
    "scheme": "http",
    "path": "/health",
    "min_healthy": "200ms",
    "successes": 2,
    "interval": "20ms",
    "progress": "30s",
    "deadline": "40s",
    "timeout": "2s",
}


def ourselves() -> tuple[str, ...]:
    """How the program is called: as it is installed beside this interpreter or on the PATH, else as a module."""
    beside = Path(sys.executable).with_name("ci-warm")
    found = str(beside) if beside.exists() else shutil.which("ci-warm")
    return (found,) if found else (sys.executable, "-m", "reconciler")


def until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait for a condition; gives its first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"did not come true within {seconds} s: {what or condition}"
        time.sleep(0.02)


@dataclass
class Lab:
    """One host, one app called notes."""

    home: Path
    engine: str
    stateful: bool = True
    health: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    registry: str = ""
    program: tuple[str, ...] = (sys.executable, "-m", "reconciler")
    port: int = field(default_factory=free_port)
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    images: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        self.state = self.home / "state"
        self.recipe = Recipe(self.home / "recipe", stateful=self.stateful)
        (self.home / "etc" / "apps").mkdir(parents=True)
        settings = {
            "engine": self.engine,
            "git": {"allow_file": True},
            "limits": {"steady_probe": "1s", **self.settings},
            "runs": {"domain_suffix": f"t{self.mark}.test", "min_free": 0},
        }
        (self.home / "etc" / "config.yaml").write_text(json.dumps(settings))
        self.state.mkdir(mode=0o750)
        self.state.chmod(0o750)
        self.write_spec()

    def write_spec(self, **changes: Any) -> None:
        """Write the spec as an operator would."""
        env = {"PUBLISHED_PORT": str(self.port), **self.extra.get("env", {}), **changes.pop("env", {})}
        spec = {
            "name": self.name,
            "recipe": {"url": self.recipe.url},
            "domain": f"t{self.mark}.example.test",
            "stateful": self.stateful,
            "health": {**HEALTH, "port": self.port, **self.health},
            "upgrade": {"bake": "0s"},
            **self.extra,
            **changes,
            "env": env,
        }
        (self.home / "etc" / "apps" / f"{self.name}.yaml").write_text(json.dumps(spec, indent=1))

    @property
    def name(self) -> str:
        """Apps on one shared engine must not take each other's pins."""
        return f"notes-{self.mark}" if self.engine == "swarm" else "notes"

    @property
    def stack(self) -> Any:
        return self.build().specs[0].stack_name

    def image(self, version: str, **env: str) -> str:
        """Publish an image of the notes app."""
        host = f"{self.registry}/" if self.registry else ""
        reference = f"{host}t{self.mark}/notes:{version}"
        settings = {"VERSION": version, "FENCE": "1", **env}
        if self.engine == "swarm":
            recipes.swarm_image(reference, settings, volume=self.stateful, label=self.mark)
        else:
            engine = EmbeddedEngine(self.state / "engine")
            engine.prepare()
            engine.images.publish(reference, recipes.embedded_image(), settings, "2026-01-01T00:00:00Z")
        self.images.append(reference)
        return reference

    def release(self, tag: str, *, notes: str = "", compose: str | None = None, **env: str) -> str:
        """Publish image and recipe of a release; gives its image."""
        image = self.image(tag.partition("+")[2], **env)
        files = {f"release/{tag}": notes} if notes else {}
        text = (compose or recipes.compose("IMAGE", stateful=self.stateful)).replace("IMAGE", image)
        self.recipe.release(Version(tag=tag, image=image, files=files, compose=text))
        return image

    def build(self, effect: Callable[[str], None] = no_effect) -> composition.App:
        """The program as a fresh process would build it."""
        return composition.build(self.home / "etc" / "config.yaml", self.state, effect=effect)

    @property
    def containers(self) -> Containers:
        """The containers of this host."""
        return self.build().ports.node.containers

    def reconcile(self, effect: Callable[[str], None] = no_effect) -> str:
        """One pass; its result line."""
        app = self.build(effect)
        return str(one_pass.run(app.ports, app.settings, app.specs)[0].outcome.result)

    def first(self) -> None:
        """The pass that brings up V1; what it says if it does not."""
        result = self.reconcile()
        assert result == f"deployed:{V1}", (result, [alert.evidence for alert in self.alerts()])

    def outcome(self) -> Any:
        """One pass; the whole outcome."""
        app = self.build()
        return one_pass.run(app.ports, app.settings, app.specs)[0].outcome

    def points(self) -> list[str]:
        """One pass; the effect points it went through."""
        seen: list[str] = []
        self.reconcile(seen.append)
        return seen

    def killed(self, at: int | str) -> bool:
        """One pass in a child process that is killed with SIGKILL at its nth effect point, or the first of a name.

        False if the point never came.
        """
        return _killed(self.reconcile, at)

    def data(self) -> Path:
        """Where the app's volume lies."""
        engine = self.build().ports.engine
        return Path(next(iter(engine.observe_volumes([f"{self.stack}_data"]).values())).path)

    def digest(self) -> str:
        """A digest of every byte, name, mode and owner in the volume; times too."""
        total = hashlib.sha256()
        root = self.data()
        for path in [root, *sorted(path for path in root.rglob("*") if path.name != ".fence")]:
            found = path.lstat()
            total.update(f"{path.relative_to(root)} {found.st_mode} {found.st_uid} {found.st_mtime_ns}".encode())
            total.update(path.read_bytes() if path.is_file() else b"")
        return total.hexdigest()

    def notes(self) -> str:
        """The notes as they lie in the volume."""
        return (self.data() / "notes.txt").read_text()

    def answer(self, path: str = "/") -> str:
        """What the running app says."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as peer:
            peer.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            found = b""
            while part := peer.recv(4096):
                found += part
        return found.partition(b"\r\n\r\n")[2].decode()

    def alerts(self) -> list[Alert]:
        return [alert for _, alert in AlertStore(self.state / "alerts").open()]

    def set(self, **changes: Any) -> None:
        """Change the settings as an operator would; None takes a key out."""
        path = self.home / "etc" / "config.yaml"
        merged = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))

    def argv(self, *args: str) -> list[str]:
        """A command line of the program on this host."""
        return [
            *self.program,
            "--config",
            str(self.home / "etc" / "config.yaml"),
            "--state-dir",
            str(self.state),
            *args,
        ]

    @contextmanager
    def daemon(self, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The daemon as a process of its own, stopped at the end."""
        log = (self.home / "daemon.log").open("ab")
        process = subprocess.Popen(self.argv("run"), stdout=log, stderr=log, env=os.environ | environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)
            log.close()

    def log(self) -> list[dict[str, Any]]:
        """What the daemon said, line by line."""
        lines = (self.home / "daemon.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def history(self) -> list[str]:
        return [line.result for line in self.build().history.lines()]

    def command(self, *args: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        """The program as people call it."""
        return subprocess.run(self.argv(*args), capture_output=True, text=True, timeout=timeout)

    def test(self, mode: str = "cold", effect: Callable[[str], None] = no_effect, **asked: Any) -> Run:
        """A test run of the canonical in this process."""
        app = self.build(effect)
        site = composition.run_environment(app)
        app.ports.recipes.fetch(app.spec(self.name).recipe.url)
        plan = testrun_plan.plan_run(
            site, testrun_plan.RunRequest(spec=app.spec(self.name), mode=RunMode(mode), actor="test", **asked)
        )
        return cold.run(site, plan) if mode == "cold" else quick.run(site, plan)

    def killed_test(self, at: int | str, mode: str = "cold") -> bool:
        """A test run in a child process that is killed at its nth effect point, or the first of a name.

        False if the point never came.
        """
        return _killed(lambda effect: self.test(mode, effect), at)

    def canonical(self) -> bytes:
        """What is on record of the canonical, with its snapshot: both must not change by themselves."""
        folder = self.state / self.name
        names = ("canonical.json", "snapshot/manifest.json")
        return b"".join((folder / name).read_bytes() for name in names if (folder / name).exists())

    def left(self) -> list[str]:
        """What is on the engine of any stack but the canonical's volumes; empty when every run was tidy."""
        engine = self.build().ports.engine
        world = engine.look()
        mine = [name for name in world.stacks if name.endswith(self.suffix) or name == self.stack]
        found = [f"services of {name}" for name in mine if world.stacks[name].services]
        return found + [f"volume {name}" for name in world.volumes if f"{self.suffix}_" in name]

    @property
    def suffix(self) -> str:
        """How the stacks of this host's runs end."""
        return f"_t{self.mark}_test"

    def known(self) -> str:
        return (self.state / self.name / "last_good").read_text().strip()

    def check(self) -> None:
        """What must hold at the end of every test."""
        found = [
            f"{f.invariant} {f.path}: {f.message}"
            for f in doctor.examine(self.state, deep=True)
            if f.severity != "note"
        ]
        assert found == []
        app = self.build()
        volumes = app.ports.engine.observe_volumes([f"{spec.stack_name}_data" for spec in app.specs]).values()
        assert [v.name for v in volumes if (Path(v.path) / "OVERLAP").exists()] == [], "two writers at once (I5)"

    def clear(self) -> None:
        """Leave nothing behind on the engine."""
        app = self.build()
        engine = app.ports.engine
        for run in app.runs.unfinished():
            if run.mode is RunMode.COLD:
                until(partial(_purged, engine, StackName(run.stack)), 30)
            engine.protect_images(AppName(run.run), [])
        for spec in app.specs:
            engine.undeploy(spec.stack_name)
            if isinstance(engine, SwarmEngine):
                engine.protect_images(spec.app, [])
                clear_stack(engine, spec.stack_name)
        if isinstance(engine, SwarmEngine):
            for reference in self.images:
                engine.client.write("remove image", "remove_image", reference, force=True)


def _purged(engine: Engine, stack: StackName) -> bool:
    return not engine.purge(stack)


def _killed(work: Callable[[Callable[[str], None]], object], at: int | str) -> bool:
    child = os.fork()
    if child == 0:
        count = 0

        def effect(name: str) -> None:
            nonlocal count
            count += 1
            if at in (count, name):
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(effect)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@contextmanager
def lab(home: Path, engine: str, **kwargs: Any) -> Iterator[Lab]:
    """A lab that is cleared whatever happens."""
    made = Lab(home=home, engine=engine, **kwargs)
    try:
        yield made
    finally:
        made.clear()
