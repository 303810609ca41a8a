"""A random walk over what happens to an app: releases good and bad, harm to the engine, edits, an old state folder.

After every step a pass, and what must hold whatever came before.
"""

import json
import random
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from reconciler.model.disturbance import NodeObs
from reconciler.model.errors import ObserveError
from reconciler.model.observed import TaskObs
from tests.fakes.world import Behaviour, Host, Running

BAKE_S = 300.0
NODE = "n1"


@dataclass
class Walk:
    """One walk. `good`: versions that never fail by themselves; `written`: notes that people wrote, by version."""

    root: Path
    seed: int
    trail: list[str] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    schema: int = 1
    number: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.host = Host(self.root / "host", upgrade={"bake": BAKE_S})
        self.host.engine.nodes = (NodeObs(id=NODE, started_at=self.host.clock.now()),)
        self.host.clock.seconds += 3600
        self.publish("")
        self.step_pass()
        assert self.host.known() is not None
        self.saved = self._save("first")

    @property
    def data(self) -> Path:
        return Path(next(iter(self.host.engine.volumes.values())).path)

    def publish(self, fails: str) -> None:
        version = f"1.0.{self.number}+5.0.{self.number}"
        self.number += 1
        self.schema += self.random.random() < 0.5
        self.host.release(version, Behaviour(schema=self.schema, fails=fails))
        if not fails:
            self.good.add(version)

    def _save(self, name: str) -> Path:
        to = self.root / f"saved-{name}"
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.host.root / "state", to, symlinks=True)
        return to

    def run(self, steps: int) -> None:
        for _ in range(steps):
            step = self.random.choice(STEPS)
            self.trail.append(step)
            self.write_note()
            getattr(self, f"step_{step}")()
            self.step_pass()
            if self.random.random() < 0.3:
                self.host.clock.seconds += self.random.choice([1, 20, 100, 400, 5000])
                self.step_pass()

    def write_note(self) -> None:
        """People write while something runs."""
        if any(task.state == "running" for running in self.services() for task in running.tasks):
            with (self.data / "notes").open("a") as notes:
                notes.write(f"{len(self.trail)}\n")

    def notes(self) -> str:
        if not self.host.engine.volumes:
            return ""
        path = self.data / "notes"
        return path.read_text() if path.exists() else ""

    def services(self) -> list[Running]:
        return list(self.host.engine.services.values())

    def step_pass(self) -> None:
        """One pass, and all that must hold."""
        before, known, changes = self.notes(), self.host.known(), len(self.host.engine.changes)
        result = self.host.result()
        self.trail.append(result)
        kind, _, about = result.partition(":")
        went_back = kind.startswith(("rolled-back", "rollback-failed"))
        assert self.host.engine.violations == [], self.story()
        if went_back:
            blamed = about.partition("->")[0]
            assert blamed not in self.good, f"a good release was taken back: {self.story()}"
        elif kind not in ("deploy-failed",):
            assert self.notes().startswith(before), f"notes are gone: {self.story()}"
        if kind.startswith("held-"):
            made = self.host.engine.changes[changes:]
            assert made == [], f"a hold changed something ({made}): {self.story()}"
        if went_back and known is not None and kind == "rolled-back":
            assert self.host.known() != about.partition("->")[0], self.story()

    def story(self) -> str:
        return f"seed {self.seed}: {' / '.join(self.trail)}"

    def step_release_good(self) -> None:
        self.publish("")

    def step_release_bad(self) -> None:
        self.publish(self.random.choice(["before", "after", "unhealthy"]))

    def step_release_late_bad(self) -> None:
        """It settles and answers, and then fails again and again."""
        self.publish("")
        version = f"1.0.{self.number - 1}+5.0.{self.number - 1}"
        self.good.discard(version)
        self.step_pass()
        if self.host.known() == version:
            for _ in range(3):
                self.host.clock.seconds += 10
                self._end_tasks("failed", "task: non-zero exit (3)", 3, version)

    def step_killed_by_hand(self) -> None:
        self._end_tasks("failed", "task: non-zero exit (137)", 137)

    def step_not_started_by_the_host(self) -> None:
        """What a committed release needs of the host is away for a while: a port, a folder, a user."""
        text = self.random.choice(["bind: address already in use", "unable to find user notes", "no such device"])
        self.host.clock.seconds += 1
        for _ in range(3):
            self._end_tasks("failed", f"starting container failed: {text}", 128)

    def step_scaled_by_hand(self) -> None:
        for running in self.services():
            running.spec = {**running.spec, "deploy": {"replicas": 0, "labels": _labels(running)}}

    def step_removed_by_hand(self) -> None:
        self.host.engine.services.clear()

    def step_engine_restarted(self) -> None:
        code = self.random.choice([0, 1, 137, 143])
        text = f"task: non-zero exit ({code})" if code else "No such container: x"
        for _ in range(self.random.choice([1, 1, 4])):
            self._end_tasks("failed", text, code)
        self.host.engine.nodes = (NodeObs(id=NODE, started_at=self.host.clock.now()),)

    def step_drained_for_a_while(self) -> None:
        (node,) = self.host.engine.nodes
        self.host.engine.nodes = (replace(node, takes_tasks=False),)
        kept = [(running, list(running.tasks)) for running in self.services()]
        for running, tasks in kept:
            running.tasks[:] = [replace(task, state="shutdown", desired_state="shutdown") for task in tasks]
            self._add(running, "pending", "no suitable node (1 node not available for new tasks)")
        self.step_pass()
        self.host.clock.seconds += 45
        self.step_pass()
        self.host.engine.nodes = (node,)
        for running in self.services():
            running.tasks[:] = [task for task in running.tasks if task.state != "pending"]
            self._add(running, "running")

    def step_engine_frozen(self) -> None:
        def away(_call: str, _when: str) -> None:
            raise ObserveError("the engine does not answer")

        self.host.engine.fault = away
        self.step_pass()
        self.host.clock.seconds += 20
        self.host.engine.fault = lambda _call, _when: None

    def step_spec_edited(self) -> None:
        old = self.host.specs[0]
        self.host.specs[0] = old.model_copy(update={"env": {"N": str(len(self.trail))}})

    def step_probe_misses_once(self) -> None:
        """A slow answer, over before patience is."""
        left = [2]

        def slow(_probe: object) -> None:
            left[0] -= 1
            self.host.prober.broken = left[0] >= 0

        self.host.prober.on_probe = slow
        self.step_pass()
        self.host.prober.on_probe = lambda _probe: None
        self.host.prober.broken = False

    def step_saved(self) -> None:
        self.saved = self._save("later")

    def step_state_put_back(self) -> None:
        shutil.rmtree(self.host.root / "state")
        shutil.copytree(self.saved, self.host.root / "state", symlinks=True)
        if self.random.random() < 0.3:  # as after a crash of the whole host
            self.host.engine.services.clear()

    def _end_tasks(self, state: str, error: str, code: int, version: str = "") -> None:
        for running in self.services():
            alive = [task for task in running.tasks if task.state == "running"]
            if not alive or (version and self.host.known() != version):
                continue
            ended = [
                replace(one, state=state, desired_state="shutdown", error=error, exit_code=code, at=self._now())
                for one in alive
            ]
            running.tasks[:] = [task for task in running.tasks if task not in alive] + ended
            del running.tasks[:-5]
            self._add(running, "running")

    def _now(self) -> datetime:
        return self.host.clock.now()

    def _add(self, running: Running, state: str, error: str = "") -> None:
        like: TaskObs | None = running.tasks[-1] if running.tasks else None
        if like is None:
            return
        fresh = replace(
            like,
            id=f"{like.id}x",
            state=state,
            desired_state="running",
            error=error,
            exit_code=None,
            at=self._now(),
            created_at=self._now(),
            slot="1",
        )
        running.tasks.append(fresh)


def _labels(running: Running) -> object:
    deploy = running.spec.get("deploy")
    return deploy.get("labels", {}) if isinstance(deploy, dict) else json.loads("{}")


STEPS = [name.removeprefix("step_") for name in vars(Walk) if name.startswith("step_") and name != "step_pass"]
