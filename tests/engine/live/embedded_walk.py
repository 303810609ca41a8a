"""A random walk on the embedded engine: real processes, real volumes, the program as it is. Effects: processes.

The same model as the walks on the fake host and on a real engine. This engine has no node to drain and no process of
its own to freeze: what is killed here is what keeps a service, and the service's programs with it.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from reconciler.adapters.embedded import services
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.git import GitRecipes
from reconciler.app import App
from reconciler.core.change.judge import PERSISTS
from reconciler.engine.context import Context
from reconciler.engine.host import fetch, one_pass
from reconciler.engine.operate import explain, plan
from reconciler.engine.operate.plan import PlanRow
from reconciler.model.base import Json
from reconciler.model.settings import GitSettings
from tests.hosts.engine_host import HEALTH, EngineHost
from tests.processes import supervisors
from tests.waiting import until

PATIENCE = int(os.environ.get("CI_WARM_TEST_EMBEDDED_PATIENCE", "1"))
"""How many times longer each deadline is, where many walks share the cores."""
QUICK: dict[str, Any] = {
    "min_healthy": "60ms",
    "successes": 1,
    "deadline": f"{4 * PATIENCE}s",
    "progress": f"{4 * PATIENCE}s",
    "timeout": f"{PATIENCE}s",
}
_ENGINE = "engine"
"""Its folder lies in the state root, and is not what an operator saves and puts back."""


class _OneMirror(GitRecipes):
    """Kept from pass to pass, as the daemon keeps it, and fetched when there is something new.

    Otherwise two thirds of a walk of a thousand steps would be git's.
    """

    is_due = True

    @override
    def fetch(self, url: str) -> None:
        if self.is_due:
            super().fetch(url)
            self.is_due = False


@dataclass
class EmbeddedWalk:
    """`good`: versions that never fail by themselves; `killed`: how often a hand killed each since its commit.

    `mistyped`: the spec is so now.
    """

    host: EngineHost
    seed: int
    number: int = 0
    schema: int = 1
    good: set[str] = field(default_factory=set)
    killed: Counter[str] = field(default_factory=Counter)
    trail: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    mistyped: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.engine = EmbeddedEngine(self.host.state / _ENGINE)
        self.stack = self.host.stack
        self.mirror = self.make_mirror()
        self.publish()
        self.look()
        assert self.trail[-1].startswith("deployed:"), self.story()
        self.people = self.host.observed.data() / "people"
        self.save()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            name = self.random.choice(STEPS)
            if self.trail[-1].startswith("converging") and self.random.random() < 0.5:
                name = "engine_killed"  # which forgets the failures of late, for whose end a pass waits a minute
            self.trail.append(name)
            with self.people.open("a") as people:
                people.write(f"{len(self.trail)}\n")
            getattr(self, f"step_{name}")()
            self.look()
            self.look()
        self.host.observed.check()

    def make_mirror(self) -> _OneMirror:
        """As the program makes its own: on what lies in the state root now."""
        made = self.host.program.build().ports.recipes
        assert isinstance(made, GitRecipes)
        return _OneMirror(made.root, GitSettings(allow_file=True), time.monotonic)

    def build(self) -> App:
        """The program as a fresh process would build it, but for the mirror."""
        built = self.host.program.build()
        return replace(built, ports=replace(built.ports, recipes=self.mirror))

    def publish(self, fails: str = "") -> str:
        version = f"1.0.{self.number}+5.0.{self.number}"
        self.number += 1
        self.schema += self.random.random() < 0.5
        env = {"SCHEMA": str(self.schema), "TERM_CODE": self.random.choice(["0", "143"]), "LATE_S": "0.6"}
        self.host.release(version, **env, **({"FAIL": fails} if fails else {}))
        self.mirror.is_due = True
        if not fails:
            self.good.add(version)
        return version

    def story(self) -> str:
        return f"seed {self.seed}: {' / '.join(self.trail)}"

    def folders(self) -> list[Path]:
        return list(self.engine.services.folders(self.stack))

    def read(self) -> str:
        return self.people.read_text() if self.people.exists() else ""

    def state(self) -> list[tuple[str, bytes]]:
        """What is wanted of every service, as it lies on disk."""
        return [(folder.name, (folder / "service.json").read_bytes()) for folder in self.folders()]

    def tasks(self) -> list[Json]:
        """Every task that there is, with its state."""
        return [task for folder in self.folders() for task in services.read(folder / "tasks.json").get("tasks", [])]

    def ask(self) -> tuple[PlanRow, str]:
        """What `plan` and `explain` say now."""
        built = self.build()
        spec = built.specs[0]
        context = Context(ports=built.ports, settings=built.settings, spec=spec, actor="test")
        problem = fetch.fetch_all(built.ports, [spec.recipe.url]).get(spec.recipe.url)
        return plan.plan(context, built.ports.engine.look(), problem), explain.explain(
            context, built.ports.engine.look(), problem
        ).status

    def look(self) -> None:
        """One pass, and all that must hold."""
        people = self.read() if self.trail else ""
        before, tasks = self.state(), self.tasks()
        planned, explained = self.ask()
        built = self.build()
        result = str(one_pass.run(built.ports, built.settings, built.specs)[0].outcome.result)
        self.trail.append(result)
        kind, _, about = result.partition(":")
        is_mistyped = False
        if kind.startswith(("rolled-back", "rollback-failed")):
            blamed, _, back = about.partition("->")
            # To itself: not the release, but what the operator mistyped for it.
            is_mistyped = self.mistyped and blamed == back
            due = blamed not in self.good or self.killed[blamed] >= PERSISTS or is_mistyped
            assert due, f"a good release was taken back: {self.story()}"
        if self.trail[1:] and (is_mistyped or not kind.startswith(("rolled-back", "rollback-failed"))):
            assert self.read().startswith(people), f"what people wrote is gone: {self.story()}"
        if kind.startswith("held-"):
            assert self.state() == before, f"a hold changed something: {self.story()}"
        self._assert_agreed(planned, explained, result, tasks)
        for folder in self.folders():
            log = folder / "log"
            assert not log.exists() or "this version knows" not in log.read_text(), f"older on newer: {self.story()}"

    def _assert_agreed(self, planned: PlanRow, explained: str, result: str, tasks: list[Json]) -> None:
        """What was said before the pass is what came of it, if the world did not move meanwhile."""
        after, _ = self.ask()
        if (planned.status, planned.action, planned.result) != (after.status, after.action, after.result):
            return
        # An app that fails every second may be found failing twice, and well between.
        if self.tasks() != tasks:
            return
        assert explained == planned.status, self.story()
        if planned.result is not None:
            assert str(planned.result) == result, f"planned {planned.result}: {self.story()}"
        elif planned.holds:
            assert result.startswith("held-"), f"planned {planned.holds}: {self.story()}"

    def save(self) -> None:
        saved = self.host.home / "saved"
        shutil.rmtree(saved, ignore_errors=True)
        shutil.copytree(self.host.state, saved, symlinks=True, ignore=shutil.ignore_patterns(_ENGINE))

    def step_release_good(self) -> None:
        self.host.end_watch()
        self.publish()

    def step_release_in_watch(self) -> None:
        self.publish()

    def step_release_bad(self) -> None:
        self.host.end_watch()
        self.publish(self.random.choice(["before", "after", "unhealthy"]))

    def step_release_late_bad(self) -> None:
        """It settles and answers, and then fails again and again."""
        self.host.end_watch()
        version = self.publish("late")
        self.look()
        if self.folders() and self.host.observed.known() == version:
            until(lambda: self._count_failed() >= PERSISTS, 30 * PATIENCE, "it failed again and again")

    def _count_failed(self) -> int:
        tasks = self.engine.observe_stack(self.stack).tasks
        return sum(task.state == "failed" for task in tasks)

    def step_killed_by_hand(self) -> None:
        number = self.random.choice([signal.SIGKILL, signal.SIGTERM])
        for folder in self.folders():
            for task in services.read(folder / "tasks.json").get("tasks", []):
                if task["alive"]:
                    self.killed[self.host.observed.known()] += 1
                    self._kill(folder, task, number)

    def _kill(self, folder: Path, task: Json, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(task["pid"], number)
        until(lambda: not self._is_alive(folder, task["id"]), 10 * PATIENCE, "it ended")

    @staticmethod
    def _is_alive(folder: Path, task_id: str) -> bool:
        tasks = services.read(folder / "tasks.json").get("tasks", [])
        return any(task["id"] == task_id and task["alive"] for task in tasks)

    def step_scaled_by_hand(self) -> None:
        for folder in self.folders():
            spec = services.read(folder / "service.json")
            self.engine.services.put(self.stack, folder.name, spec | {"replicas": 0})

    def step_removed_by_hand(self) -> None:
        self.engine.services.remove(self.folders())

    def step_engine_killed(self) -> None:
        """What keeps the services is killed and started again; its programs die with it."""
        for folder in self.folders():
            spec = services.read(folder / "service.json")
            self._kill_supervisor(folder)
            if self.random.random() < 0.5:
                self.look()
            self.engine.services.put(self.stack, folder.name, spec)

    def _kill_supervisor(self, folder: Path) -> None:
        for pid in supervisors(folder):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not services.is_alive(folder), 10 * PATIENCE, "its supervisor is gone")

    def step_spec_edited(self) -> None:
        self.env = {"N": str(len(self.trail))}
        self.host.write_spec(env=self.env)

    def step_typing_error(self) -> None:
        self.mistyped = True
        self.host.write_spec(env=self.env, health={**HEALTH, **QUICK, "port": self.host.port, "path": "/typo"})
        self.look()
        self.host.write_spec(env=self.env)
        self.mistyped = False

    def step_watch_over(self) -> None:
        self.host.end_watch()

    def step_saved(self) -> None:
        self.save()

    def step_state_put_back(self) -> None:
        for path in self.host.state.iterdir():
            if path.name != _ENGINE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.host.home / "saved", self.host.state, symlinks=True, dirs_exist_ok=True)
        self.mirror = self.make_mirror()  # which is of that day, too


STEPS = [name.removeprefix("step_") for name in vars(EmbeddedWalk) if name.startswith("step_")]
