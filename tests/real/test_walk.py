"""A random walk on a real engine: releases, harm to the engine and the host's hands, and what must hold after each."""

import functools
import json
import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.core.change.judge import PERSISTS
from tests.engines.machine import Machine, machine
from tests.hosts.engine_host import HEALTH, EngineHost, engine_host
from tests.real.scenes import reconcile

STEPS = int(os.environ.get("CI_WARM_TEST_REAL_STEPS", "12"))
"""How many steps; two hundred take half an hour."""
pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.timeout(600 + 60 * STEPS),
    pytest.mark.together("machines"),
]
SEED = int(os.environ.get("CI_WARM_TEST_SEED", "7"))


@dataclass
class RealWalk:
    """`good`: versions that never fail by themselves; `trail`: steps and results, for the story of a failure.

    `killed`: how often a hand killed each since it was taken; three times are a habit (ADR 0014).
    """

    engine: Machine
    host: EngineHost
    random: random.Random
    number: int = 0
    schema: int = 1
    good: set[str] = field(default_factory=set)
    killed: Counter[str] = field(default_factory=Counter)
    trail: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    @functools.cached_property
    def people(self) -> Path:
        """Asked for once: a frozen engine does not say where its volumes are."""
        return self.host.observed.data() / "people"

    def publish(self, fails: str = "") -> None:
        version = f"1.0.{self.number}+5.0.{self.number}"
        self.number += 1
        self.schema += self.random.random() < 0.5
        env = {"SCHEMA": str(self.schema), "TERM_CODE": "143"}
        self.host.release(version, **env, **({"FAIL": fails} if fails else {}))
        if not fails:
            self.good.add(version)

    def write(self) -> None:
        """What people write goes below the notes that the app migrates."""
        with self.people.open("a") as people:
            people.write(f"{len(self.trail)}\n")

    def read(self) -> str:
        return self.people.read_text() if self.people.exists() else ""

    def story(self) -> str:
        return f"seed {SEED}: {' / '.join(self.trail)}"

    def look(self) -> None:
        """One pass, and all that must hold."""
        before = self.read()
        result = reconcile(self.host)
        self.trail.append(result)
        story = self.story()
        kind, _, about = result.partition(":")
        if kind.startswith(("rolled-back", "rollback-failed")):
            blamed = about.partition("->")[0]
            due = blamed not in self.good or self.killed[blamed] >= PERSISTS
            assert due, f"a good release was taken back: {story}"
        elif self.engine.docker("service", "ls", "-q"):
            assert self.read().startswith(before), f"what people wrote is gone: {story}"
        for container in self.containers("--all")[:3]:
            logs = self.attempt("logs", container)
            assert "this version knows" not in logs, f"an older release met newer data: {story}"

    def containers(self, *options: str) -> list[str]:
        label = f"label=com.docker.stack.namespace={self.host.stack}"
        return self.engine.docker("ps", "--quiet", "--filter", label, *options).split()

    def attempt(self, *args: str) -> str:
        """A command whose container or service may have gone meanwhile; '' then."""
        argv = ["docker", "--host", self.engine.host, *args]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60).stdout

    def step_release_good(self) -> None:
        self.host.end_watch()
        self.publish()

    def step_release_in_watch(self) -> None:
        self.publish()

    def step_release_bad(self) -> None:
        self.host.end_watch()
        self.publish(self.random.choice(["before", "after"]))

    def step_kill(self) -> None:
        for container in self.containers():
            self.killed[self.host.observed.known()] += 1
            self.attempt("kill", container)

    def step_restart(self) -> None:
        self.engine.restart(self.random.choice([signal.SIGTERM, signal.SIGKILL]))

    def step_freeze(self) -> None:
        before = self.read()
        with self.engine.frozen():
            self.trail.append(reconcile(self.host))
        assert self.trail[-1] == "unknown", self.story()
        assert self.read() == before, self.story()

    def step_drain(self) -> None:
        self.engine.drain()
        self.look()
        self.engine.activate()

    def step_scale(self) -> None:
        self.attempt("service", "scale", "--detach", f"{self.host.stack}_app=0")

    def step_remove(self) -> None:
        self.attempt("service", "rm", f"{self.host.stack}_app")

    def step_edit(self) -> None:
        self.env = {"N": str(len(self.trail))}
        self.host.write_spec(env=self.env)

    def step_typing_error(self) -> None:
        # The health settings alone: with other settings it would be a reconfiguration, which may fail by them.
        self.host.write_spec(env=self.env, health={**HEALTH, "port": self.host.port, "path": "/typo"})
        self.look()
        self.host.write_spec(env=self.env)

    def step_state_put_back(self) -> None:
        saved = self.host.home / "saved"
        if saved.exists() and self.random.random() < 0.5:
            shutil.rmtree(self.host.state)
            shutil.copytree(saved, self.host.state, symlinks=True)
        else:
            shutil.rmtree(saved, ignore_errors=True)
            shutil.copytree(self.host.state, saved, symlinks=True)


NAMES = [name for name in vars(RealWalk) if name.startswith("step_")]


def test_a_walk_on_a_real_engine(tmp_path: Path) -> None:
    extra = {"upgrade": {"bake": "10m"}}
    with (
        machine("28") as engine,
        engine_host(tmp_path / "host", "swarm", executable=engine.executable, extra=extra) as host,
    ):
        host.set(docker_host=engine.host, limits={"call": "2s", "steady_probe": "2s"})
        walk = RealWalk(engine=engine, host=host, random=random.Random(SEED))
        walk.publish()
        assert reconcile(host).startswith("deployed:")
        for _ in range(STEPS):
            name = walk.random.choice(NAMES)
            walk.trail.append(name.removeprefix("step_"))
            walk.write()
            getattr(walk, name)()
            walk.look()
            walk.look()
        records = json.loads((host.state / host.name / "known_good.json").read_text())
        assert records["release"]["version"] in walk.good, walk.trail
