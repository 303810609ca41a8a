"""Services of the embedded engine: a folder each, with its supervisor. Effects: files, supervisor processes.

Called by `engine`. What is wanted lies in `service.json`, what runs in `tasks.json`; a supervisor that lives holds its
lock, and with its programs, which outlive it by a moment where it was killed, another one.
"""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.adapters import program
from reconciler.adapters.embedded import translate
from reconciler.model.base import Json
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import StackName
from reconciler.model.observed import StackObs
from reconciler.ports.node import Holder
from reconciler.state import files, removal

_POLL_S = 0.01
_START_S = 10.0
_KILLED = 137


class ServiceFolders:
    """All services of one engine, below `root`: a folder per stack, in it one per service."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self, stack: StackName | None = None) -> Iterator[Path]:
        """The folders of a stack's services, or of all."""
        pattern = f"{stack}/*/service.json" if stack else "*/*/service.json"
        for path in sorted(self.root.glob(pattern)):
            yield path.parent

    def observe(self, folders: Sequence[Path]) -> StackObs:
        """What the records of these services and their supervisors say."""
        found = [translate.observed(read(f / "service.json"), read(f / "tasks.json"), is_alive(f)) for f in folders]
        return StackObs(
            services=tuple(service for service, _, _ in found),
            tasks=tuple(task for _, tasks, _ in found for task in tasks),
            containers=tuple(one for _, _, containers in found for one in containers),
        )

    def put(self, stack: StackName, name: str, spec: Json) -> None:
        """Write what is wanted of a service and see that it is supervised.

        Raises:
            ActError: one that is to go does not stop, or the supervisor does not start.
        """
        folder = files.make_folder(files.make_folder(self.root / stack) / name)
        before = read(folder / "service.json")
        # A supervisor that is told to go ends its service whatever is written afterwards: wait, then begin
        # anew.
        if before.get("removed"):
            self._await_gone(folder)
            before = {}
        same = {key: before.get(key) for key in spec} == spec
        if not same:
            extra = {
                "id": before.get("id") or os.urandom(8).hex(),
                "version": before.get("version", 0) + 1,
                "removed": False,
            }
            files.write_atomic(folder / "service.json", json.dumps(spec | extra).encode())
        # After the write: a supervisor that starts reads what is wanted, one that lives sees the file change.
        if not is_alive(folder):
            self._start(folder)

    def _start(self, folder: Path) -> None:
        # In a session of its own and with no open file of ours, so that it outlives this process and its locks.
        with (folder / "supervisor.log").open("ab") as log:
            subprocess.Popen(
                [*program.script("reconciler.adapters.embedded", "supervisor.py"), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=folder,
            )
        _await(lambda: is_alive(folder), _START_S, f"the supervisor of {folder.name} does not start")

    def remove(self, folders: Sequence[Path]) -> tuple[str, ...]:
        """Stop these services side by side, each with its own grace, and remove their folders.

        Gives those of which a program did not end within its grace and was killed.
        """
        up = {folder: {task["id"] for task in _list_tasks(folder) if task["alive"]} for folder in folders}
        for folder in folders:
            spec = read(folder / "service.json")
            # All are told before one is waited for, so that their graces run side by side.
            files.write_atomic(folder / "service.json", json.dumps(spec | {"removed": True}).encode())
        return tuple(sorted(folder.name for folder in folders if _KILLED in self._await_gone(folder, up[folder])))

    def _await_gone(self, folder: Path, tasks: Container[str] = ()) -> set[int]:
        """Gives the exit codes of these tasks."""
        grace = read(folder / "service.json").get("grace", 10.0)
        gone = f"service {folder.name} does not stop"
        _await(lambda: not is_alive(folder) and not has_programs(folder), grace + _START_S, gone)
        codes = {task["code"] for task in _list_tasks(folder) if task["id"] in tasks}
        removal.remove_tree(folder)
        return codes

    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        """A dead supervisor's programs are dying, and hold what they hold until they have."""
        found = []
        for folder in self.folders():
            spec = read(folder / "service.json")
            for task in read(folder / "tasks.json").get("tasks", []) if has_programs(folder) else []:
                ours = folder.parent.name == stack
                if task["alive"] and (ours or set(task["volumes"]) & set(volumes)):
                    owned = task["desired"] == "running" and not spec.get("removed")
                    name = f"{folder.parent.name}_{folder.name}"
                    found.append(Holder(id=task["id"], state="running", owned=owned, of_stack=ours, name=name))
        return tuple(found)

    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        """The last lines of each service."""
        found = {}
        for folder in self.folders(stack):
            text = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
            found[folder.name] = "\n".join(text.splitlines()[-lines:])
        return found


def _list_tasks(folder: Path) -> list[Json]:
    found: list[Json] = read(folder / "tasks.json").get("tasks", [])
    return found


def read(path: Path) -> Json:
    """A record; empty if there is none.

    Raises:
        ObserveError: it cannot be read.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise ObserveError(f"{path}: {exc}") from exc
    return found if isinstance(found, dict) else {}


def is_alive(folder: Path) -> bool:
    """Say whether the service's supervisor holds its lock."""
    return _is_held(folder / "supervisor.lock")


def has_programs(folder: Path) -> bool:
    """Say whether the service's supervisor is up, or a program of one that was."""
    return _is_held(folder / "programs.lock")


def _is_held(lock: Path) -> bool:
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _await(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ActError(complaint, host_fault=True)
        time.sleep(_POLL_S)
