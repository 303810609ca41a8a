"""Runs one service of the embedded engine until it is removed: `python supervisor.py FOLDER`. Effects: processes.

A program of its own with the standard library alone, so that it starts in milliseconds and outlives the process that
started it; in one file, because out of an archive it is started as text (`program.script`). It reads `service.json`,
keeps the wanted number of tasks up and publishes `tasks.json`. Its children die with it (parent-death signal), but not
in the same moment: they hold the lock `programs.lock` as it does, and the next supervisor waits for it, so that there
never are two writers.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
POLL_S = 0.02
HISTORY = 8
ENDED = ("complete", "failed", "rejected", "shutdown")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def stamp(now: float | None = None) -> str:
    """UTC time stamp with microseconds, like the engine's."""
    now = time.time() if now is None else now
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"


def write(path: Path, value: object) -> None:
    """Replace a JSON file in one rename."""
    temp = path.with_name(path.name + ".tmp")
    temp.write_text(json.dumps(value))
    temp.replace(path)


class Task:
    """One run of the service's program."""

    def __init__(self, spec: Json, slot: int, folder: Path, programs: int) -> None:
        self.spec = spec
        self.programs = programs
        self.slot = slot
        self.id = os.urandom(8).hex()
        self.state, self.desired, self.health = "preparing", "running", ""
        self.error = ""
        self.code: int | None = None
        self.created = self.at = stamp()
        self.child: subprocess.Popen[bytes] | None = None
        self.check: subprocess.Popen[bytes] | None = None
        self.started = self.next_check = self.check_until = 0.0
        self.failures = 0
        self.kill_at: float | None = None
        self.folder = folder

    def move(self, state: str, error: str = "") -> None:
        """Enter a state, keeping the first error."""
        self.state, self.error, self.at = state, error or self.error, stamp()

    def start(self) -> None:
        """Start the program, or say why it cannot be."""
        image = Path(self.spec["image_file"])
        if not image.exists():
            self.move("rejected", f"No such image: {self.spec['image']}")
            return
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            **json.loads(image.read_text())["env"],
            **self.spec["env"],
        }
        argv = self.spec["argv"] or json.loads(image.read_text())["argv"]
        log = (self.folder / "log").open("ab")
        try:
            self.child = subprocess.Popen(
                argv,
                env=env,
                cwd=image.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self.programs,),
                preexec_fn=ends_with_us(),
            )
        except OSError as exc:
            self.move("rejected", f"starting task failed: {exc}")
            return
        finally:
            log.close()
        self.started = time.monotonic()
        self.next_check = self.started + (self.spec["health"] or {}).get("interval", 0)
        self.health = "starting" if self.spec["health"] else ""
        self.move("starting" if self.spec["health"] else "running")

    def stop(self) -> None:
        """Ask the program to end; it has its grace."""
        self.desired = "shutdown"
        if self.child is not None and self.kill_at is None and self.state not in ENDED:
            self.kill_at = time.monotonic() + self.spec["grace"]
            self.signal(signal.SIGTERM)
        elif self.child is None and self.state not in ENDED:
            self.move("shutdown")

    def signal(self, number: int) -> None:
        """Signal the program's whole session."""
        if self.child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def poll(self) -> None:
        """Notice that the program ended, or probe it."""
        if self.child is None or self.state in ENDED:
            return
        code = self.child.poll()
        if code is None:
            if self.kill_at is not None and time.monotonic() > self.kill_at:
                self.signal(signal.SIGKILL)
            elif self.kill_at is None:
                self.probe()
            return
        self.signal(signal.SIGKILL)  # whatever it left in its session
        self.code = code if code >= 0 else 128 - code
        if self.desired == "shutdown":
            self.move("shutdown" if self.health != "unhealthy" else "failed")
        elif self.code == 0:
            self.move("complete")
        else:
            self.move("failed", self.error or f"task: non-zero exit ({self.code})")

    def probe(self) -> None:
        """Run the health check when it is due, without ever waiting for it."""
        health, now = self.spec["health"], time.monotonic()
        if not health:
            return
        if self.check is None:
            if now >= self.next_check:
                self.check = subprocess.Popen(
                    health["argv"],
                    env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **self.spec["env"]},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    preexec_fn=ends_with_us(),
                )
                self.check_until = now + health["timeout"]
            return
        code = self.check.poll()
        # Never waited for: the other tasks of the service must be looked at meanwhile.
        if code is None and now < self.check_until:
            return
        if code is None:
            self.check.kill()
            self.check.wait()
        self.check, self.next_check = None, now + health["interval"]
        if code == 0:
            self.failures, self.health = 0, "healthy"
            if self.state == "starting":
                self.move("running")
        elif self.state == "running" or now - self.started > health["start_period"]:
            self.failures += 1
            if self.failures >= health["retries"]:
                self.health = "unhealthy"
                self.error = "task: non-zero exit (137): unhealthy container"
                self.signal(signal.SIGKILL)

    def record(self) -> Json:
        """What is published of this task."""
        alive = self.child is not None and self.state not in ENDED
        return {
            "id": self.id,
            "slot": self.slot,
            "state": self.state,
            "desired": self.desired,
            "error": self.error,
            "code": self.code,
            "at": self.at,
            "created": self.created,
            "template": self.spec["template"],
            "health": self.health,
            "pid": self.child.pid if self.child else 0,
            "alive": alive,
            "volumes": self.spec["volumes"],
        }


def ends_with_us() -> Callable[[], None]:
    """For a child to call before it becomes its program: it ends when its supervisor does."""
    parent = os.getpid()

    def ends() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # killed between the fork and the line above, it sends no signal any more
            os.kill(os.getpid(), signal.SIGKILL)

    return ends


class Service:
    """The wanted number of tasks, kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = os.open(folder / "programs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.alone = False
        self.spec: Json = {}
        self.seen = (0, 0)
        self.tasks: list[Task] = []
        self.retry_at: dict[int, float] = {}
        self.update: Json | None = None
        self.steady_at = 0.0
        self.published = ""

    def reload(self) -> bool:
        """Read what is wanted if it changed; False when the service is to go."""
        try:
            found = (self.folder / "service.json").stat()
        except FileNotFoundError:
            return False
        # A rename brings a new inode, so two writes within one tick of the clock are told apart.
        key = (found.st_mtime_ns, found.st_ino)
        if key != self.seen:
            before, self.spec, self.seen = self.spec, json.loads((self.folder / "service.json").read_text()), key
            if before and before["template"] != self.spec["template"]:
                self.update = {"state": "updating", "started_at": stamp(), "message": ""}
                self.retry_at.clear()
        return not self.spec["removed"]

    def live(self, slot: int) -> list[Task]:
        """Tasks of that slot that have not ended."""
        return [task for task in self.tasks if task.slot == slot and task.state not in ENDED]

    def is_alone(self) -> bool:
        """Say whether no program of a supervisor before this one is left; this one's hold the lock from then on."""
        if not self.alone:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.programs, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.alone = True
        return self.alone

    def step(self) -> None:
        """Look at everything once and do what is missing."""
        for task in self.tasks:
            task.poll()
        for task in self.tasks:
            outdated = task.spec["template"] != self.spec["template"] or task.slot >= self.spec["replicas"]
            if outdated and task.desired != "shutdown":
                task.stop()
        for slot in range(self.spec["replicas"]):
            self.fill(slot)
        self.judge_update()
        self.tasks = [t for t in self.tasks if t.state not in ENDED] + [t for t in self.tasks if t.state in ENDED][
            -HISTORY:
        ]

    def fill(self, slot: int) -> None:
        """Start a task in an empty slot when its time has come."""
        if self.live(slot) or time.monotonic() < self.retry_at.get(slot, 0.0):
            return
        last = [t for t in self.tasks if t.slot == slot and t.spec["template"] == self.spec["template"]]
        ended = last[-1].state if last else ""
        condition = self.spec["restart"]["condition"]
        if ended == "complete" and condition in ("none", "on-failure"):
            return
        if ended in ("failed", "rejected") and condition == "none":
            return
        # The delay counts from when the end was noticed.
        if ended and slot not in self.retry_at:
            self.retry_at[slot] = time.monotonic() + self.spec["restart"]["delay"]
            return
        self.retry_at.pop(slot, None)
        if ended:
            last[-1].desired = "shutdown"
        task = Task(self.spec, slot, self.folder, self.programs)
        self.tasks.append(task)
        task.start()

    def judge_update(self) -> None:
        """An update is completed when its tasks stay up, paused when one fails, as failure_action pause does."""
        if self.update is None or self.update["state"] != "updating":
            return
        own = [t for t in self.tasks if t.spec["template"] == self.spec["template"]]
        # `failure_action: pause` is the only policy that we render (ADR 0004).
        if any(t.state in ("failed", "rejected") for t in own):
            self.update |= {"state": "paused", "message": "update paused due to failure or early termination of task"}
            return
        up = sum(t.state in ("running", "complete") for t in own) >= self.spec["replicas"]
        if not up:
            self.steady_at = time.monotonic()
        elif time.monotonic() - self.steady_at > self.spec["monitor"]:
            self.update |= {"state": "completed", "message": "update completed"}

    def publish(self) -> None:
        """Write the tasks out if anything changed."""
        record = {
            "tasks": [task.record() for task in self.tasks],
            "update": self.update,
            "version": self.spec["version"],
        }
        text = json.dumps(record)
        if text != self.published:
            write(self.folder / "tasks.json", record)
            self.published = text

    def run(self) -> None:
        """Serve until removed or orphaned, then stop every task."""
        while self.reload() and not is_orphaned():
            if self.is_alone():
                self.step()
            self.publish()
            time.sleep(POLL_S)
        for task in self.tasks:
            task.stop()
        while any(task.state not in ENDED for task in self.tasks):
            for task in self.tasks:
                task.poll()
            if self.folder.exists():
                self.publish()
            time.sleep(POLL_S)
        if self.folder.exists():
            self.publish()


def is_orphaned() -> bool:
    """Say whether the process that this engine was for is gone; one for nobody in particular never is.

    `CI_WARM_EMBEDDED_OWNER` holds its number and when it was started, as numbers are given out again.
    """
    pid, _, started = os.environ.get("CI_WARM_EMBEDDED_OWNER", "").partition(":")
    if not pid:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19] != started
    except OSError:
        return True


def main() -> None:
    """Take the service's lock and serve; a second supervisor of the same service ends at once."""
    folder = Path(sys.argv[1])
    lock = (folder / "supervisor.lock").open("a+")
    for _ in range(50):  # a process that asks whether we run holds it shared for an instant
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(POLL_S)
    else:
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Service(folder).run()


if __name__ == "__main__":
    main()
