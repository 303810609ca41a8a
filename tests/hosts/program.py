"""The program on a host of the tests: in this process, in a child that is killed, or as people call it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import app as composition
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.process import ends_with_us
from reconciler.engine.host import one_pass
from reconciler.engine.testrun import cold, quick
from reconciler.engine.testrun import plan as testrun_plan
from reconciler.model.testrun import Run, RunMode
from reconciler.ports.effects import no_effect
from reconciler.ports.node import Containers

FROM_SOURCE = (sys.executable, "-m", "reconciler")


def as_installed() -> tuple[str, ...]:
    """How the program is called: as it is installed beside this interpreter or on the PATH, else as a module."""
    beside = Path(sys.executable).with_name("ci-warm")
    found = str(beside) if beside.exists() else shutil.which("ci-warm")
    return (found,) if found else FROM_SOURCE


@dataclass
class Program:
    """ci-warm on one host. `app`: the one that test runs are of; `executable`: how a shell would call it."""

    home: Path
    state: Path
    app: str
    executable: tuple[str, ...] = FROM_SOURCE

    @property
    def config(self) -> Path:
        return self.home / "etc" / "config.yaml"

    @property
    def daemon_log(self) -> Path:
        return self.home / "daemon.log"

    def build(self, effect: Callable[[str], None] = no_effect, clock: SystemClock | None = None) -> composition.App:
        """The program as a fresh process would build it."""
        return composition.build(self.config, self.state, effect=effect, clock=clock)

    @property
    def containers(self) -> Containers:
        """The containers of this host."""
        return self.build().ports.node.containers

    def reconcile(self, effect: Callable[[str], None] = no_effect) -> str:
        """One pass; its result line."""
        app = self.build(effect)
        return str(one_pass.run(app.ports, app.settings, app.specs)[0].outcome.result)

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

    def test(
        self,
        mode: str = "cold",
        effect: Callable[[str], None] = no_effect,
        *,
        app: composition.App | None = None,
        **asked: Any,
    ) -> Run:
        """A test run of the canonical in this process; by `app`, if the test has put together its own."""
        app = app or self.build(effect)
        environment = composition.run_environment(app)
        app.ports.recipes.fetch(app.spec(self.app).recipe.url)
        request = testrun_plan.RunRequest(spec=app.spec(self.app), mode=RunMode(mode), actor="test", **asked)
        plan = testrun_plan.plan_run(environment, request)
        return cold.run(environment, plan) if mode == "cold" else quick.run(environment, plan)

    def killed_test(self, at: int | str, mode: str = "cold") -> bool:
        """A test run in a child process that is killed at its nth effect point, or the first of a name.

        False if the point never came.
        """
        return _killed(lambda effect: self.test(mode, effect), at)

    def argv(self, *args: str) -> list[str]:
        """A command line of the program on this host."""
        return [*self.executable, "--config", str(self.config), "--state-dir", str(self.state), *args]

    def command(self, *args: str, timeout: float = 120, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The program as people call it."""
        env = os.environ | environment
        return subprocess.run(self.argv(*args), capture_output=True, text=True, timeout=timeout, env=env)

    @contextmanager
    def daemon(self, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The daemon as a process of its own, stopped at the end."""
        log = self.daemon_log.open("ab")
        process = subprocess.Popen(
            self.argv("run"),
            stdout=log,
            stderr=log,
            env=os.environ | environment,
            preexec_fn=ends_with_us(),  # tests that are killed leave no daemon behind
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)
            log.close()


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
