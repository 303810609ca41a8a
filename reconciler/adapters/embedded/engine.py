"""The engine on child processes and folders. Effects: files below one root, supervisor processes."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from reconciler.adapters import process, program
from reconciler.adapters.embedded import translate
from reconciler.adapters.embedded.images import ImageStore
from reconciler.core.redact import Redactor
from reconciler.core.release.render import add_labels
from reconciler.model.base import Json
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import AppName, RunName, StackName
from reconciler.model.observed import ImageObs, Inventory, StackObs, VolumeObs, World
from reconciler.model.release import Bundle
from reconciler.ports.engine import Deployed, Engine, NamedKind
from reconciler.ports.node import Containers, Executed, Holder
from reconciler.state import files, removal

_POLL_S = 0.01
_START_S = 10.0


class EmbeddedEngine(Engine, Containers):
    """All methods as in `ports.Engine`. `root` holds services/, volumes/, images/, registry/, secrets/, pins/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = ImageStore(root)

    def prepare(self) -> None:
        """Make the folders."""
        for name in ("", "services", "volumes", "images", "registry", "secrets", "pins"):
            files.make_folder(self.root / name if name else self.root)

    def _folders(self, stack: StackName | None = None) -> Iterator[Path]:
        pattern = f"{stack}/*/service.json" if stack else "*/*/service.json"
        for path in sorted((self.root / "services").glob(pattern)):
            yield path.parent

    @override
    def check(self) -> None:
        if not (self.root / "services").is_dir():
            raise ObserveError(f"{self.root}: the embedded engine's folder is gone")

    @override
    def look(self) -> World:
        """Reads every service's two files and every volume's one."""
        stacks: dict[StackName, list[Path]] = {}
        for folder in self._folders():
            stacks.setdefault(StackName(folder.parent.name), []).append(folder)
        names = [path.parent.name for path in sorted((self.root / "volumes").glob("*/volume.json"))]
        return World(
            at=datetime.now(UTC),
            engine="embedded",
            node_id="embedded",
            stacks={stack: self._stack(folders) for stack, folders in stacks.items()},
            volumes=self.observe_volumes(names),
        )

    @override
    def observe_stack(self, stack: StackName) -> StackObs:
        return self._stack(list(self._folders(stack)))

    def _stack(self, folders: Sequence[Path]) -> StackObs:
        found = [translate.observed(_read(f / "service.json"), _read(f / "tasks.json"), _alive(f)) for f in folders]
        return StackObs(
            services=tuple(service for service, _, _ in found),
            tasks=tuple(task for _, tasks, _ in found for task in tasks),
            containers=tuple(one for _, _, containers in found for one in containers),
        )

    @override
    def deploy(self, bundle: Bundle, workdir: Path) -> Deployed:
        doc = add_labels(bundle)
        try:
            wanted = translate.services(bundle, doc, self.root, self.images)
        except ValueError as exc:
            return Deployed(code=1, output=str(exc))
        for volume in bundle.volumes.values():
            self.create_volume(StackName(bundle.stack), volume)
        for name, spec in wanted.items():
            self._put_service(StackName(bundle.stack), name, spec)
        return Deployed(code=0, output="".join(f"Updating service {bundle.stack}_{name}\n" for name in wanted))

    def _put_service(self, stack: StackName, name: str, spec: Json) -> None:
        folder = files.make_folder(files.make_folder(self.root / "services" / stack) / name)
        before = _read(folder / "service.json")
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
        if not _alive(folder):
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
        _await(lambda: _alive(folder), _START_S, f"the supervisor of {folder.name} does not start")

    @override
    def hasten(self, seen: StackObs) -> None:
        """Supervisors hear at once."""

    @override
    def wake(self, stack: StackName, names: Sequence[str]) -> None:
        """Nothing is forgotten here."""

    @override
    def undeploy(self, stack: StackName) -> None:
        self._remove(list(self._folders(stack)))

    @override
    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        self._remove([folder for folder in self._folders(stack) if folder.name in names])

    def _remove(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            spec = _read(folder / "service.json")
            files.write_atomic(folder / "service.json", json.dumps(spec | {"removed": True}).encode())
        for folder in folders:
            self._await_gone(folder)

    def _await_gone(self, folder: Path) -> None:
        grace = _read(folder / "service.json").get("grace", 10.0)
        _await(lambda: not _alive(folder), grace + _START_S, f"service {folder.name} does not stop")
        removal.remove_tree(folder)

    @override
    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        """A dead supervisor's children are dead too."""
        found = []
        for folder in self._folders():
            spec = _read(folder / "service.json")
            for task in _read(folder / "tasks.json").get("tasks", []) if _alive(folder) else []:
                ours = folder.parent.name == stack
                if task["alive"] and (ours or set(task["volumes"]) & set(volumes)):
                    owned = task["desired"] == "running" and not spec.get("removed")
                    name = f"{folder.parent.name}_{folder.name}"
                    found.append(Holder(id=task["id"], state="running", owned=owned, of_stack=ours, name=name))
        return tuple(found)

    @override
    def remove_dead(self, holders: Sequence[Holder]) -> None:
        """Ended processes leave nothing behind."""

    @override
    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        found = {}
        for name in names:
            folder = self.root / "volumes" / name
            record = _read(folder / "volume.json")
            if record:
                found[name] = VolumeObs(
                    name=name, driver="embedded", options={}, labels=record["labels"], path=str(folder / "_data")
                )
        return found

    @override
    def create_volume(self, stack: StackName, name: str) -> VolumeObs:
        folder = files.make_folder(self.root / "volumes" / name)
        if not (folder / "volume.json").exists():
            files.make_folder(folder / "_data", 0o755)
            labels = {translate.LABEL_STACK: stack}
            files.write_atomic(folder / "volume.json", json.dumps({"labels": labels}).encode())
        return self.observe_volumes([name])[name]

    @override
    def observe_images(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        return self.images.observe(references)

    @override
    def pull(self, reference: str) -> ImageObs:
        return self.images.pull(reference)

    @override
    def protect_images(self, owner: AppName | RunName, pinned: Sequence[str]) -> None:
        missing = [reference for reference in pinned if reference not in self.images.observe(pinned)]
        if missing:
            raise ActError(f"image {missing[0]} is not on the engine, so it cannot be kept", permanent=True)
        path = self.root / "pins" / f"{owner}.json"
        if pinned:
            files.write_atomic(path, json.dumps(sorted(set(pinned))).encode())
        else:
            path.unlink(missing_ok=True)

    def kept_images(self) -> set[str]:
        """Images that a service uses or a pin keeps."""
        kept = {_read(folder / "service.json").get("image", "") for folder in self._folders()}
        for path in (self.root / "pins").glob("*.json"):
            kept |= set(json.loads(path.read_text()))
        return kept

    @override
    def execute(self, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
        """With the environment of the service, where its image lies."""
        folder = self.root / "services" / stack / service
        spec = _read(folder / "service.json")
        if not spec or not _alive(folder):
            raise ActError(f"service {service} does not run", host_fault=True)
        image = Path(spec["image_file"])
        env = {**_read(image).get("env", {}), **spec["env"]}
        ran = process.run(argv, timeout_s=timeout_s, env=env, cwd=image.parent, redactor=Redactor())
        return Executed(code=ran.code, output=ran.output)

    @override
    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        found = {}
        for folder in self._folders(stack):
            text = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
            found[folder.name] = "\n".join(text.splitlines()[-lines:])
        return found

    @override
    def remove_volumes(self, stack: StackName, names: Sequence[str]) -> None:
        for name, volume in self.observe_volumes(names).items():
            mounted = self.holders(StackName(""), [name])
            if volume.labels.get(translate.LABEL_STACK) == stack and not mounted:
                removal.remove_tree(self.root / "volumes" / name)

    @override
    def purge(self, stack: StackName) -> tuple[str, ...]:
        """Secrets are known by their names here, which begin with the stack's."""
        self.undeploy(stack)
        ours = [path.name for path in (self.root / "volumes").glob("*") if path.is_dir()]
        self.remove_volumes(stack, ours)
        for path in (self.root / "secrets").glob(f"{stack}_*"):
            path.unlink(missing_ok=True)
        services = self.root / "services" / stack
        if services.exists() and not any(services.iterdir()):
            services.rmdir()
        return tuple(f"service {folder.name}" for folder in self._folders(stack))

    @override
    def inventory(self) -> Inventory:
        return self.images.inventory(self.kept_images())

    @override
    def remove_image(self, image_id: str, references: Sequence[str]) -> bool:
        used = {image.id for image in self.inventory().images if image.used}
        return image_id not in used and self.images.remove(image_id)

    @override
    def observe_named(self, kind: NamedKind, names: Sequence[str]) -> frozenset[str]:
        """Networks need no making here."""
        if kind == "network":
            return frozenset(names)
        return frozenset(name for name in names if kind == "secret" and (self.root / "secrets" / name).exists())

    @override
    def create_secret(self, app: AppName, stack: StackName, name: str, value: bytes) -> None:
        if not (self.root / "secrets" / name).exists():
            files.write_atomic(self.root / "secrets" / name, value)

    @override
    def remove_unused_configs(self, stack: StackName) -> None:
        """Configs are files of the release here; they go with it."""


def _read(path: Path) -> Json:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise ObserveError(f"{path}: {exc}") from exc
    return found if isinstance(found, dict) else {}


def _alive(folder: Path) -> bool:
    """Say whether the service's supervisor holds its lock."""
    try:
        fd = os.open(folder / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
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
