"""A release whose tasks end in a certain way on a real engine, and what is looked at then. Effects: containers, files.

The ways are in `ends`.
"""

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.core.change.judge import PERSISTS
from reconciler.demo import recipes
from reconciler.model.observed import StackObs, TaskObs
from tests.engines.machine import Machine
from tests.hosts.engine_host import HEALTH, V1, V2, EngineHost
from tests.real.scenes import reconcile
from tests.waiting import until

_SERVES = "trap 'exit 143' TERM; sh /notes_app.sh & while [ ! -e /data/harm ]; do sleep 0.1; done; . /data/harm"
"""Serves until the file is there, and then ends as it says; the same after every start."""
_TAKE_PORT = """
import signal, socket, sys, time
taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
until = time.monotonic() + 60
while True:
    try:
        taken.bind(("0.0.0.0", int(sys.argv[1])))
        break
    except OSError:
        if time.monotonic() > until:
            raise
        time.sleep(0.01)  # nothing tells when a port is free
taken.listen()
print("taken", flush=True)
signal.pause()
"""


@dataclass(frozen=True, kw_only=True)
class End:
    """How tasks end. `says`: words that evidence of it has.

    `at_once`: what the release runs if it is to fail before its commit; '': `harm` is done while it settles. `script`:
    what it does once the harm is there. `body`: what the release asks of the engine beside that.
    """

    says: str
    at_once: str = ""
    script: str = ""
    body: Mapping[str, object] = field(default_factory=dict)
    harm: "Callable[[Play], None]" = lambda play: play.write_script()
    before: "Callable[[Play], None]" = lambda _: None


@dataclass
class Play:
    """One row on a host of its own."""

    engine: Machine
    host: EngineHost
    end: End
    results: list[str] = field(default_factory=list)
    clean: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    taker: "subprocess.Popen[str] | None" = None
    first: str = ""

    @property
    def folder(self) -> Path:
        """What the release may mount; the engine sees it under the same name."""
        return self.engine.folder / f"conf-{self.host.mark}"

    def begin(self) -> None:
        """Deploy V1, and let people work with it."""
        self.host.release(V1)
        assert self.look() == f"deployed:{V1}"
        self.first = self._observe().services[0].template_fingerprint

    def _observe(self) -> StackObs:
        return self.host.program.build().ports.engine.observe_stack(self.host.stack)

    def look(self) -> str:
        """One pass; its result."""
        self.results.append(reconcile(self.host))
        return self.results[-1]

    def pass_until(self, wanted: str, seconds: float = 120) -> None:
        """Pass after pass until one ends so."""
        try:
            until(lambda: self.look().startswith(wanted), seconds, wanted)
        except AssertionError as exc:
            raise AssertionError(f"{exc}; there came {self.results[-5:]}") from exc

    def publish(self, command: str) -> None:
        """Release V2 with this command."""
        document = json.loads(recipes.compose("IMAGE", stateful=True))
        body = json.loads(json.dumps(self.end.body).replace("FOLDER", str(self.folder)))
        service = document["services"]["app"]
        service["deploy"] |= body.pop("deploy", {})
        service["volumes"] += body.pop("volumes", [])
        service |= {"command": ["/bin/sh", "-c", command] if command else ["/bin/sh", "/notes_app.sh"], **body}
        self.host.release(V2, SCHEMA="2", compose=json.dumps(document))

    def upgrade(self) -> None:
        """Take V2, and let people work with it."""
        if "FOLDER" in json.dumps(self.end.body):
            self.folder.mkdir()
        self.publish(_SERVES)
        assert self.look() == f"upgraded:{V1}->{V2}", self.host.observed.alerts()
        with (self.host.observed.data() / "notes.txt").open("a") as notes:
            notes.write("what people wrote since\n")

    def upgrade_into_it(self) -> None:
        """Take a V2 that ends so, or to which it is done while it settles."""
        if self.end.at_once:
            self.publish(self.end.at_once)
            self.look()
            return
        slow = {**HEALTH, "port": self.host.port, "min_healthy": "6s"}
        self.host.write_spec(health=slow)
        self.publish(_SERVES)
        worker = threading.Thread(target=self.look)
        worker.start()
        try:
            self.end.before(self)
        finally:
            worker.join(180)
            self.clean.close()

    def do_harm(self) -> None:
        """Let it end so from now on."""
        self.end.harm(self)

    def await_failure(self) -> None:
        """Wait until a task of V2 has failed."""
        until(lambda: self.tasks("failed", "rejected"), 60, "it fails")

    def write_script(self) -> None:
        """What the release finds, and goes by, from now on."""
        (self.host.observed.data() / "harm").write_text(self.end.script)

    def step(self) -> str:
        """Where the change under way is; '' if there is none."""
        with contextlib.suppress(FileNotFoundError):
            path = self.host.state / self.host.name / "journal.json"
            return str(json.loads(path.read_text())["step"])
        return ""

    def tasks(self, *states: str) -> list[TaskObs]:
        """The tasks of V2 in these states, as far as the engine remembers."""
        stack = self._observe()
        now = stack.services[0].template_fingerprint if stack.services else self.first
        if now == self.first:
            return []
        return [task for task in stack.tasks if task.template_fingerprint == now and task.state in states]

    def signal(self, name: str, times: int = 1) -> None:
        """Signal the container of V2 when it runs, and wait until its task has ended of it; so many times."""
        for _ in range(times):
            self._signal_once(name)

    def _signal_once(self, name: str) -> None:
        [task] = until(lambda: self.tasks("running"), 60, "V2 runs")
        label = f"label=com.docker.swarm.task.id={task.id}"
        found = until(lambda: self.engine.docker("ps", "-q", "--filter", label), 20, "its container runs")
        self.engine.docker("kill", "--signal", name, found)
        until(lambda: task.id not in {one.id for one in self.tasks("running")}, 30, "its task ended")

    def take_port(self) -> None:
        """Let another program have the app's port as soon as it is free."""
        argv = [*self.engine.enter, "python3", "-c", _TAKE_PORT, str(self.host.port)]
        self.taker = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.clean.callback(self.taker.wait)
        self.clean.callback(self.taker.kill)

    def await_port(self) -> None:
        """Wait until the other program has it."""
        assert self.taker is not None
        assert self.taker.stdout is not None
        assert self.taker.stdout.readline() == "taken\n"

    def remove_image(self) -> None:
        """As somebody would who wants it gone, whatever Docker says: for its containers it has to be tried again."""
        image = self.engine.docker("image", "inspect", "--format", "{{.Id}}", self.host.images[-1])

        def is_gone() -> bool:
            for container in self.engine.docker("ps", "-q", "--filter", f"ancestor={image}").split():
                self._try("kill", container)
            return self._try("image", "rm", "--force", image)

        until(is_gone, 60, "the image is gone")

    def _try(self, *args: str) -> bool:
        argv = ["docker", "--host", self.engine.host, *args]
        return subprocess.run(argv, capture_output=True, timeout=60).returncode == 0

    def is_baked(self) -> bool:
        """Say whether the watch is on record as over."""
        return bool(json.loads((self.host.state / self.host.name / "known_good.json").read_text())["baked"])

    def quarantine(self) -> list[Any]:
        """The releases that are not tried again."""
        found: list[Any] = json.loads((self.host.state / self.host.name / "memory.json").read_text())["quarantine"]
        return found

    def assert_blamed(self) -> None:
        """V1 runs on its own data, and V2 is not tried again."""
        assert self.results[-1] == f"rolled-back:{V2}->{V1}"
        assert self.host.observed.notes() == "first note\nsecond note\n"
        assert [one["version"] for one in self.quarantine()] == [V2]
        [alert] = [one for one in self.host.observed.alerts() if one.reason == "rollback"]
        assert self.end.says in " ".join(alert.evidence), alert.evidence

    def assert_not_blamed(self) -> None:
        """V1 runs on its own data, and V2 will be tried again."""
        assert self.results[-1] == f"rolled-back:{V2}->{V1}"
        assert self.host.observed.notes() == "first note\nsecond note\n"
        assert self.quarantine() == []
        assert self.end.says in " ".join(text for one in self.host.observed.alerts() for text in one.evidence)

    def assert_kept(self) -> None:
        """V2 runs, and nothing is told."""
        assert self.results[-1] == f"upgraded:{V1}->{V2}"
        assert self.host.observed.known() == V2
        assert self.host.observed.alerts() == []

    def assert_goes_back(self) -> None:
        """V2 is told by its history, and V1 comes back with its data."""
        self.pass_until("rolled-back")
        assert set(self.results[2:-1]) <= {f"converging:{V2}", "noop-healthy"}
        self.assert_blamed()

    def assert_mended(self) -> None:
        """Swarm starts it anew; nobody loses anything."""
        self.pass_until("converging" if not self.is_baked() else "noop-healthy")
        until(lambda: self.tasks("running"), 60, "Swarm started it anew")
        self.look()
        self._assert_data_kept()
        assert self.host.observed.alerts() == []

    def assert_told(self) -> None:
        """It is down or fails again and again: people are told, and the data stays as it is."""
        ended = ("failed", "rejected", "complete")
        try:
            until(lambda: len(self.tasks(*ended)) >= PERSISTS, 90, "it failed three times")
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {self.tasks(*ended, 'running')}") from exc
        self.pass_until(f"unhealthy:{V2}")
        self._assert_data_kept()
        [alert] = self.host.observed.alerts()
        # An engine that was killed leaves its vxlan interfaces behind: then that is what the host fails the task with.
        said = " ".join(alert.evidence)
        assert self.end.says in said or "vxlan interface" in said, alert.evidence
        self.clean.close()

    def _assert_data_kept(self) -> None:
        assert not [result for result in self.results if "roll" in result], self.results
        assert "what people wrote since" in self.host.observed.notes()
        assert self.host.observed.known() == V2
        assert self.quarantine() == []
