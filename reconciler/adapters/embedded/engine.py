"""The engine on child processes and folders. Effects: files below one root; `services` has the processes."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from reconciler.adapters import process
from reconciler.adapters.embedded import services, translate
from reconciler.adapters.embedded.images import ImageStore
from reconciler.adapters.embedded.services import ServiceFolders
from reconciler.core.redact import Redactor
from reconciler.core.release.render import add_labels
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import AppName, RunName, StackName
from reconciler.model.observed import ImageObs, Inventory, Others, StackObs, VolumeObs, World
from reconciler.model.release import Bundle
from reconciler.ports.engine import Deployed, Engine, NamedKind, Pulled, unheard
from reconciler.ports.node import Containers, Executed, Holder
from reconciler.state import files, removal


class EmbeddedEngine(Engine, Containers):
    """All methods as in `ports.Engine`. `root` holds services/, volumes/, images/, registry/, secrets/, pins/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = ImageStore(root)
        self.services = ServiceFolders(root / "services")

    def prepare(self) -> None:
        """Make the folders."""
        for name in ("", "services", "volumes", "images", "registry", "secrets", "pins"):
            files.make_folder(self.root / name if name else self.root)

    @override
    def check(self) -> None:
        if not self.services.root.is_dir():
            raise ObserveError(f"{self.root}: the embedded engine's folder is gone")

    @override
    def check_tools(self) -> None:
        """Needs none."""

    @override
    def look(self) -> World:
        """Reads every service's two files and every volume's one."""
        stacks: dict[StackName, list[Path]] = {}
        for folder in self.services.folders():
            stacks.setdefault(StackName(folder.parent.name), []).append(folder)
        names = [path.parent.name for path in sorted((self.root / "volumes").glob("*/volume.json"))]
        return World(
            at=datetime.now(UTC),
            engine="embedded",
            node_id="embedded",
            stacks={stack: self.services.observe(folders) for stack, folders in stacks.items()},
            volumes=self.observe_volumes(names),
        )

    @override
    def observe_stack(self, stack: StackName) -> StackObs:
        return self.services.observe(list(self.services.folders(stack)))

    @override
    def remove_networks(self, stack: StackName, names: Sequence[str]) -> None:
        """Networks need no making here."""

    @override
    def find_network_users(self, stack: StackName, names: Sequence[str]) -> tuple[str, ...]:
        return ()

    @override
    def check_document(self, doc: Mapping[str, object]) -> tuple[str, ...] | None:
        """There is no tool; the shapes are the same."""
        return None

    @override
    def deploy(self, bundle: Bundle, workdir: Path, *, stays: bool = False) -> Deployed:
        doc = add_labels(bundle)
        try:
            wanted = translate.services(bundle, doc, self.root, self.images)
        except ValueError as exc:
            return Deployed(code=1, output=str(exc))
        for volume in bundle.volumes.values():
            self.create_volume(StackName(bundle.stack), volume)
        for name, spec in wanted.items():
            self.services.put(StackName(bundle.stack), name, spec)
        return Deployed(code=0, output="".join(f"Updating service {bundle.stack}_{name}\n" for name in wanted))

    @override
    def hasten(self, seen: StackObs) -> None:
        """Supervisors hear at once."""

    @override
    def wake(self, stack: StackName, names: Sequence[str]) -> None:
        """Nothing is forgotten here."""

    @override
    def undeploy(self, stack: StackName) -> tuple[str, ...]:
        return self.services.remove(list(self.services.folders(stack)))

    @override
    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        self.services.remove([folder for folder in self.services.folders(stack) if folder.name in names])

    @override
    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        return self.services.holders(stack, volumes)

    @override
    def remove_dead(self, holders: Sequence[Holder]) -> None:
        """Ended processes leave nothing behind."""

    @override
    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        found = {}
        for name in names:
            folder = self.root / "volumes" / name
            record = services.read(folder / "volume.json")
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
    def pull(self, reference: str, hear: Callable[[Pulled], None] = unheard) -> ImageObs:
        del hear  # an image here is one small file
        return self.images.pull(reference)

    @override
    def protect_images(self, owner: AppName | RunName, pinned: Sequence[str]) -> None:
        # All or none, as the Swarm engine's caller expects: a pin of an image that is gone would keep
        # nothing.
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
        kept = {services.read(folder / "service.json").get("image", "") for folder in self.services.folders()}
        for path in (self.root / "pins").glob("*.json"):
            kept |= set(json.loads(path.read_text()))
        return kept

    @override
    def execute(self, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
        """With the environment of the service, where its image lies."""
        folder = self.services.root / stack / service
        spec = services.read(folder / "service.json")
        if not spec or not services.is_alive(folder):
            raise ActError(f"service {service} does not run", host_fault=True)
        image = Path(spec["image_file"])
        env = {**services.read(image).get("env", {}), **spec["env"]}
        ran = process.run(argv, timeout_s=timeout_s, env=env, cwd=image.parent, redactor=Redactor())
        return Executed(code=ran.code, output=ran.output)

    @override
    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        return self.services.logs(stack, lines)

    @override
    def remove_volumes(self, stack: StackName, names: Sequence[str]) -> None:
        for name, volume in self.observe_volumes(names).items():
            mounted = self.holders(StackName(""), [name])
            # As the real engine: a volume of others, or one that is in use, is left alone in silence.
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
        services = self.services.root / stack
        if services.exists() and not any(services.iterdir()):
            services.rmdir()
        return tuple(f"service {folder.name}" for folder in self.services.folders(stack))

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
    def observe_others(self, stack: StackName) -> Others:
        """Nothing of another stack is ever met here: ports are the operating system's."""
        return Others()

    @override
    def create_secret(self, app: AppName, stack: StackName, name: str, value: bytes) -> None:
        if not (self.root / "secrets" / name).exists():
            files.write_atomic(self.root / "secrets" / name, value)

    @override
    def remove_unused_configs(self, stack: StackName) -> None:
        """Configs are files of the release here; they go with it."""
