"""The engine on a real Swarm. Effects: the engine, and `docker stack deploy` for the compose part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from reconciler.adapters.deploy import check as stack_check
from reconciler.adapters.deploy import stack as stack_deploy
from reconciler.adapters.swarm import execute, images, inventory, others, parse, stacks
from reconciler.adapters.swarm import logs as swarm_logs
from reconciler.adapters.swarm import services as swarm_services
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.adapters.swarm.containers import Hastener
from reconciler.adapters.swarm.signals import Signals
from reconciler.core.release import placement
from reconciler.model.base import Json
from reconciler.model.disturbance import NodeObs
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import AppName, RunName, StackName
from reconciler.model.observed import ImageObs, Inventory, Others, StackObs, VolumeObs, World
from reconciler.model.release import Bundle
from reconciler.model.settings import Limits
from reconciler.ports.engine import Deployed, Engine, NamedKind, Pulled, unheard
from reconciler.ports.node import Containers, Executed, Holder

LABEL_APP = "ci-warm.app"
_DEAD = frozenset({"exited", "dead", "created"})


class SwarmEngine(Engine, Containers):
    """One Swarm manager. All methods as in `ports.Engine`. `stray_grace_s`: see `services.stop`."""

    def __init__(self, host: str | None, limits: Limits, *, stray_grace_s: int = parse.DEFAULT_GRACE_S) -> None:
        self.client = SwarmClient(host, limits.call)
        self._hastener = Hastener(self.client)
        self._signals = Signals(self.client)
        self._host = host
        self._limits = limits
        self._own_id = ""
        self._checker = stack_check.Checker()
        self._stray_grace_s = stray_grace_s

    @override
    def check(self) -> None:
        self._manager()

    @override
    def check_tools(self) -> None:
        stack_deploy.check_program(self._host)

    def _manager(self) -> Json:
        info: Json = self.client.read("engine info", "info")
        swarm = info.get("Swarm") or {}
        if swarm.get("LocalNodeState") != "active":
            raise ObserveError("this engine is not part of a swarm; `docker swarm init` makes it one")
        if not swarm.get("ControlAvailable"):
            raise ObserveError("this node is a swarm worker; ci-warm must run on a manager")
        return info

    @override
    def look(self) -> World:
        """Six calls, however many apps; one more where tasks have ended."""
        info = self._manager()
        services = self.client.read("services", "services", status=True)
        tasks = self.client.read("tasks", "tasks")
        listed = self.client.read("volumes", "volumes").get("Volumes") or []
        volumes = [parse.volume(raw, local=self.client.is_local) for raw in listed]
        node_id = info["Swarm"].get("NodeID", "")
        nodes = self._nodes(node_id)
        return World(
            at=datetime.now(UTC),
            engine=f"docker {info.get('ServerVersion', '?')}",
            node_id=node_id,
            stacks=parse.stacks(services, tasks, nodes, self._signals.find(tasks, node_id)),
            volumes={volume.name: replace(volume, node=node_id) for volume in volumes},
            taken_ports=parse.taken_ports(services, tasks),
            nodes=nodes,
        )

    def _nodes(self, node_id: str) -> tuple[NodeObs, ...]:
        # Only the built-in one: a user may call a network of his own `bridge`.
        built_in = {"name": ["bridge"], "type": ["builtin"]}
        started = parse.engine_start(self.client.read("networks", "networks", filters=built_in))
        return tuple(parse.node(raw, node_id, started) for raw in self.client.read("nodes", "nodes"))

    @override
    def observe_stack(self, stack: StackName) -> StackObs:
        """Three filtered calls, and three for nodes and networks; one more where tasks have ended."""
        label = parse.of_stack(stack)
        services = self.client.read("services", "services", filters=label, status=True)
        tasks = self.client.read("tasks", "tasks", filters=label)
        containers = self.client.read("containers", "containers", all=True, filters=label)
        networks = self.client.read("networks", "networks", filters=label)
        signalled = self._signals.find(tasks, self._node_id())
        seen = parse.stacks(services, tasks, signalled=signalled).get(stack, StackObs())
        return replace(
            seen,
            containers=tuple(parse.container(raw) for raw in containers),
            nodes=self._nodes(self._node_id()),
            networks=parse.networks(networks, stack),
        )

    def _node_id(self) -> str:
        """The id of the engine's node: it stays as long as the engine is in its swarm, so it is asked for once."""
        if not self._own_id:
            self._own_id = self._manager()["Swarm"].get("NodeID", "")
        return self._own_id

    @override
    def hasten(self, seen: StackObs) -> None:
        self._hastener.hasten(seen)

    @override
    def wake(self, stack: StackName, names: Sequence[str]) -> None:
        """What `docker service update --force` does."""
        for raw in swarm_services.services(self.client, stack):
            spec = raw["Spec"]
            if spec["Name"].removeprefix(f"{stack}_") in names:
                # The one field that makes new tasks and changes nothing else; our fingerprints leave it out
                # (ADR 0012).
                spec["TaskTemplate"]["ForceUpdate"] = spec["TaskTemplate"].get("ForceUpdate", 0) + 1
                self.client.update_service(raw["ID"], raw["Version"]["Index"], spec)

    @override
    def undeploy(self, stack: StackName) -> tuple[str, ...]:
        killed = swarm_services.take_down(self.client, stack, swarm_services.services(self.client, stack))
        # Of a service that went before, and of none at all.
        strays = swarm_services.stop(self.client, stack, lambda _: True, stray_grace_s=self._stray_grace_s)
        return tuple(sorted({*killed, *strays}))

    @override
    def remove_networks(self, stack: StackName, names: Sequence[str]) -> None:
        stacks.remove_networks(self.client, stack, names)

    @override
    def find_network_users(self, stack: StackName, names: Sequence[str]) -> tuple[str, ...]:
        return stacks.find_network_users(self.client, stack, names)

    @override
    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        seen: dict[str, Json] = {}
        # By label and by volume: a stranger's container that mounts our volume carries no label of ours.
        filters = [parse.of_stack(stack), *({"volume": name} for name in volumes)]
        for wanted in filters:
            found = self.client.read("containers", "containers", all=True, filters=wanted)
            seen |= {raw["Id"]: raw for raw in found}
        tasks = self.client.read("tasks", "tasks", filters=filters[0])
        wanted_tasks = {raw["ID"] for raw in tasks if raw["DesiredState"] in ("running", "ready")}
        services = {raw["ID"] for raw in swarm_services.services(self.client, stack)}
        return tuple(_holder(raw, stack, wanted_tasks, services) for raw in seen.values())

    @override
    def remove_dead(self, holders: Sequence[Holder]) -> None:
        for holder in holders:
            if holder.of_stack and holder.state in _DEAD:
                try:
                    self.client.write("remove container", "remove_container", holder.id, v=False)
                except ActError as exc:
                    # The engine is removing it already, or it started since we looked: the next look tells.
                    if not any(text in str(exc) for text in ("in progress", "running container")):
                        raise

    @override
    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        found = swarm_services.services(self.client, stack)
        doomed = [raw for raw in found if raw["Spec"]["Name"].removeprefix(f"{stack}_") in names]
        swarm_services.take_down(self.client, stack, doomed)

    @override
    def check_document(self, doc: Mapping[str, object]) -> tuple[str, ...] | None:
        return self._checker.check(doc)

    @override
    def deploy(self, bundle: Bundle, workdir: Path, *, stays: bool = False) -> Deployed:
        """The CLI keeps an image that was edited by hand, so that is set straight first."""
        for raw in swarm_services.services(self.client, StackName(bundle.stack)):
            spec = raw["Spec"]
            wanted = bundle.images.get(spec["Name"].removeprefix(f"{bundle.stack}_"))
            asked = (spec.get("Labels") or {}).get("com.docker.stack.image")
            content = spec["TaskTemplate"].get("ContainerSpec") or {}
            # `docker stack deploy` compares with the label and not with the image, so it would leave the edit
            # as it is.
            if wanted is not None and asked == wanted and content.get("Image") != wanted:
                content["Image"] = wanted
                self.client.update_service(raw["ID"], raw["Version"]["Index"], spec)
        home = placement.choose_home(self._node_id(), self.client.read("nodes", "nodes")) if stays else ""
        return stack_deploy.deploy(
            bundle,
            workdir,
            host=self._host,
            timeout_s=max(60.0, self._limits.call * 8),
            node_id=home,
        )

    @override
    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        found = {}
        for name in dict.fromkeys(names):
            raw = self.client.find(f"volume {name}", "inspect_volume", name)
            if raw is not None:
                found[name] = parse.volume(raw, local=self.client.is_local)
        return found

    @override
    def create_volume(self, stack: StackName, name: str) -> VolumeObs:
        raw = self.client.write(f"create volume {name}", "create_volume", name, labels={parse.LABEL_STACK: stack})
        return parse.volume(raw or {"Name": name}, local=self.client.is_local)

    @override
    def observe_images(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        return images.observe(self.client, references)

    @override
    def pull(self, reference: str, hear: Callable[[Pulled], None] = unheard) -> ImageObs:
        return images.pull(self.client, reference, self._limits.pull, hear)

    @override
    def protect_images(self, owner: AppName | RunName, pinned: Sequence[str]) -> None:
        images.protect(self.client, owner, pinned)

    @override
    def execute(self, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
        return execute.execute(self.client, stack, service, argv, timeout_s)

    @override
    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        return swarm_logs.last(self.client, stack, lines)

    @override
    def remove_volumes(self, stack: StackName, names: Sequence[str]) -> None:
        stacks.remove_volumes(self.client, stack, names)

    @override
    def purge(self, stack: StackName) -> tuple[str, ...]:
        return stacks.purge(self.client, stack)

    @override
    def inventory(self) -> Inventory:
        return inventory.observe(self.client)

    @override
    def remove_image(self, image_id: str, references: Sequence[str]) -> bool:
        return inventory.remove(self.client, image_id, references)

    @override
    def observe_named(self, kind: NamedKind, names: Sequence[str]) -> frozenset[str]:
        if not names:
            return frozenset()
        found = self.client.read(f"{kind}s", f"{kind}s")
        return frozenset(raw["Name"] if kind == "network" else raw["Spec"]["Name"] for raw in found) & frozenset(names)

    @override
    def observe_others(self, stack: StackName) -> Others:
        return others.observe(self.client, stack)

    @override
    def create_secret(self, app: AppName, stack: StackName, name: str, value: bytes) -> None:
        """Two at once: the second finds it made."""
        labels = {parse.LABEL_STACK: stack, LABEL_APP: app}
        try:
            self.client.write(f"create secret {name}", "create_secret", name, value, labels)
        except ActError as exc:
            if "already exists" not in str(exc):
                raise

    @override
    def remove_unused_configs(self, stack: StackName) -> None:
        label = parse.of_stack(stack)
        for raw in self.client.read("configs", "configs", filters=label):
            if LABEL_APP in (raw["Spec"].get("Labels") or {}):
                try:
                    self.client.write("remove config", "remove_config", raw["ID"])
                except ActError as exc:
                    if "in use" not in str(exc):
                        raise


def _holder(raw: Json, stack: StackName, wanted_tasks: set[str], services: set[str]) -> Holder:
    labels = raw.get("Labels") or {}
    owned = labels.get(parse.LABEL_TASK) in wanted_tasks and labels.get(parse.LABEL_SERVICE_ID) in services
    return Holder(
        id=raw["Id"],
        state=raw.get("State", ""),
        owned=owned,
        of_stack=labels.get(parse.LABEL_STACK) == stack,
        name=(raw.get("Names") or ["?"])[0].lstrip("/"),
    )
