"""A host for tests on a real engine (embedded or Swarm): settings, a spec, a recipe in git and its images."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo import recipes
from reconciler.demo.host import clear_stack, free_port
from reconciler.demo.recipes import Recipe, Version
from reconciler.model.ids import AppName, StackName
from reconciler.model.testrun import RunMode
from reconciler.ports.engine import Engine
from tests.hosts.observed import Observed
from tests.hosts.program import FROM_SOURCE, Program
from tests.waiting import until

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"
_OVERLAP = "Pool overlaps"
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


@dataclass
class EngineHost:
    """One host, one app called notes; here is what an operator and a recipe's maintainer write.

    `program` runs on it, `observed` reads what came of it.
    """

    home: Path
    engine: str
    stateful: bool = True
    health: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    registry: str = ""
    executable: tuple[str, ...] = FROM_SOURCE
    port: int = field(default_factory=free_port)
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    images: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        self.state = self.home / "state"
        self.recipe = Recipe(self.home / "recipe", stateful=self.stateful)
        self.program = Program(home=self.home, state=self.state, app=self.name, executable=self.executable)
        self.observed = Observed(program=self.program, port=self.port, suffix=f"_t{self.mark}_test")
        (self.home / "etc" / "apps").mkdir(parents=True)
        settings = {
            "engine": self.engine,
            "git": {"allow_file": True},
            "limits": {"steady_probe": "1s", "copy_ahead_from": 0, **self.settings},
            "runs": {"domain_suffix": f"t{self.mark}.test", "min_free": 0},
        }
        self.program.config.write_text(json.dumps(settings))
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

    def set(self, **changes: Any) -> None:
        """Change the settings as an operator would; None takes a key out."""
        path = self.program.config
        merged = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))

    @property
    def name(self) -> str:
        """Apps on one shared engine must not take each other's pins."""
        return f"notes-{self.mark}" if self.engine == "swarm" else "notes"

    @property
    def stack(self) -> Any:
        return self.program.build().specs[0].stack_name

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

    def deploy_first(self) -> None:
        """The pass that brings up V1; what it says if it does not."""
        result = self.program.reconcile()
        # An engine gives networks made at once the same addresses now and then: the host's fault, and tried again.
        if result != f"deployed:{V1}" and any(_OVERLAP in str(alert.evidence) for alert in self.observed.alerts()):
            result = until(lambda: (found := self.program.reconcile()) == f"deployed:{V1}" and found, 60, _OVERLAP)
        assert result == f"deployed:{V1}", (result, [alert.evidence for alert in self.observed.alerts()])

    def end_watch(self) -> None:
        """As if the time of the bake watch had gone by."""
        store = self.program.build().store
        known = store.known_good(AppName(self.name))
        if known is not None:
            store.put_known_good(known.model_copy(update={"bake_until": known.at}))

    def clear(self) -> None:
        """Leave nothing behind on the engine."""
        app = self.program.build()
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


@contextmanager
def engine_host(home: Path, engine: str, **kwargs: Any) -> Iterator[EngineHost]:
    """A host that is cleared whatever happens."""
    made = EngineHost(home=home, engine=engine, **kwargs)
    try:
        yield made
    finally:
        made.clear()
