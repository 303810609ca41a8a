"""A machine of its own for tests that harm an engine: restarted, killed, frozen, drained. Effects: root, namespaces."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import clear_folder, missing, private_dockerd
from tests.engines import engine
from tests.hosts.program import FROM_SOURCE
from tests.waiting import until

OWN = "own"
"""The machine's own dockerd, whichever version that is."""


@dataclass
class Machine:
    """One engine in a network namespace. `version`: OWN, or one that `engine` knows."""

    version: str
    shared: Sequence[Path]
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cwm")))  # socket paths must be short
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.space = self.folder.name.replace("_", "-").lower()
        self.enter = ("nsenter", f"--net=/run/netns/{self.space}")
        self.executable = (*self.enter, *FROM_SOURCE)
        self.host = f"unix://{self.folder}/d.sock"

    def start(self) -> None:
        """Start the engine, or start it again on what it left."""
        prefix = [*self.enter]
        if self.version != OWN:
            prefix += ["unshare", "--mount", *engine.pivot(self.version, [self.folder, *self.shared])]
        program = "dockerd" if self.version == OWN else engine.program(self.version)
        self.stack = contextlib.ExitStack()
        started = private_dockerd(self.folder, prefix=prefix, program=program, keep=True)
        _, self.process = self.stack.enter_context(started)

    def docker(self, *args: str) -> str:
        """The command line of the engine's machine."""
        ran = subprocess.run(["docker", "--host", self.host, *args], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the engine by this signal, and start it again."""
        self.end(number)
        self.start()
        until(lambda: self._is_ready(), 60, "the node is ready again")

    def _is_ready(self) -> bool:
        ran = subprocess.run(
            ["docker", "--host", self.host, "node", "inspect", "self", "--format", "{{.Status.State}}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ran.stdout.strip() == "ready"

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the engine, and what of it would outlive it."""
        self.process.send_signal(number)
        self.process.wait(60)
        # Killed with dockerd, its containerd stays a zombie where init reaps none, and the next dockerd waits for it.
        (self.folder / "d-exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        self.stack.close()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the engine's process meanwhile."""
        self.process.send_signal(signal.SIGSTOP)  # `exec` all the way: this process is dockerd
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def drain(self) -> None:
        """Take the node's tasks away."""
        self.docker("node", "update", "--availability", "drain", self.docker("node", "ls", "-q"))

    def activate(self) -> None:
        """Let it have tasks again."""
        self.docker("node", "update", "--availability", "active", self.docker("node", "ls", "-q"))

    def pause(self, seconds: float) -> None:
        """Let time pass that the scene is about: how long something lasts, not a wait for it."""
        time.sleep(seconds)


@contextlib.contextmanager
def docker_host_is(host: str) -> Iterator[None]:
    """Every `docker` that is started meanwhile speaks to that engine."""
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = host
    try:
        yield
    finally:
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before


@contextlib.contextmanager
def machine(version: str, *shared: Path) -> Iterator[Machine]:
    """A machine in swarm mode; what tests mount into containers has to be in `shared`."""
    if os.geteuid() != 0:
        missing("a machine of its own needs root")
    made = Machine(version=version, shared=shared)
    run("ip", "netns", "add", made.space)
    try:
        run("ip", "-n", made.space, "link", "set", "lo", "up")
        made.start()
        made.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
        with docker_host_is(made.host):
            yield made
    finally:
        made.stack.close()
        end_orphans(made.folder)
        run("ip", "netns", "del", made.space, check=False)
        clear_folder(made.folder)


def run(*argv: str, check: bool = True) -> None:
    """A command of the machine's own."""
    subprocess.run(argv, check=check)


def end_orphans(folder: Path) -> None:
    """End the containers that a killed engine left and the next one did not take up again, with their shims."""
    pattern = f"containerd-shim.* -address {folder}/"
    shims = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout.split()
    for shim in shims:
        subprocess.run(["pkill", "-KILL", "-P", shim], check=False)
        subprocess.run(["kill", "-KILL", shim], check=False)
