"""What the container engine and the deploy tool can do, as Protocols. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from reconciler.model.ids import AppName, RunName, StackName
from reconciler.model.observed import ImageObs, Inventory, Others, StackObs, VolumeObs, World
from reconciler.model.release import Bundle

NamedKind = Literal["secret", "network", "config"]


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What the deploy tool said; proves nothing. `output`: stdout and stderr together, secrets masked."""

    code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """How far a pull is. `doing`: `loading`, then `unpacking`; bytes of all layers, `of` None = not known yet."""

    doing: Literal["loading", "unpacking"]
    done: int
    of: int | None


def unheard(_pulled: Pulled) -> None:
    """Nobody asks how far a pull is."""


class Engine(Protocol):
    """A container engine with Swarm's notions."""

    def check(self) -> None:
        """Ask whether the engine answers and is one that we can work on; one call.

        Raises:
            ObserveError: it does not, or is not.
        """

    def check_tools(self) -> None:
        """Ask whether the programs that changes need can be started; no call to the engine.

        Raises:
            ActError: one cannot; it is named.
        """

    def look(self) -> World:
        """The whole world, in a constant number of calls."""

    def observe_stack(self, stack: StackName) -> StackObs:
        """One stack with its tasks and the containers within reach."""

    def hasten(self, seen: StackObs) -> None:
        """Stop now, each with its own grace, what of this look is to stop anyway; never waits, never raises."""

    def wake(self, stack: StackName, names: Sequence[str]) -> None:
        """Make the engine try again with services of which it forgot the tasks; their spec stays."""

    def undeploy(self, stack: StackName) -> tuple[str, ...]:
        """Remove the stack's services and stop their containers with their own grace; nothing else. Idempotent.

        Gives the services of which a container did not end within its grace and was killed: what it was writing then
        may be half written.
        """

    def remove_services(self, stack: StackName, names: Sequence[str]) -> None:
        """Remove single services of the stack and stop their containers with their own grace."""

    def remove_networks(self, stack: StackName, names: Sequence[str]) -> None:
        """Remove these networks of the stack, by their engine names, and wait until they are gone. Idempotent.

        Raises:
            ActError: something still uses one, or it is not gone in time.
        """

    def find_network_users(self, stack: StackName, names: Sequence[str]) -> tuple[str, ...]:
        """Services and containers of others that are attached to these networks of the stack, by name."""

    def check_document(self, doc: Mapping[str, object]) -> tuple[str, ...] | None:
        """What the deploy tool refuses in a document, in its own words; None: it cannot be asked, () means nothing.

        Changes nothing. The answer is remembered by the document, so asking again in the next pass costs nothing.

        Raises:
            ActError: the tool cannot be run or hangs.
        """

    def deploy(self, bundle: Bundle, workdir: Path, *, stays: bool = False) -> Deployed:
        """Send the bundle to the engine; returns when it is accepted or refused.

        `stays`: what has volumes is kept on the node of this engine, where there are several.
        """

    def observe_volumes(self, names: Sequence[str]) -> Mapping[str, VolumeObs]:
        """The volumes that exist among `names`."""

    def create_volume(self, stack: StackName, name: str) -> VolumeObs:
        """Create an empty local volume labelled as the stack's; idempotent."""

    def observe_images(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        """The images that are present among `references`."""

    def pull(self, reference: str, hear: Callable[[Pulled], None] = unheard) -> ImageObs:
        """Fetch an image from its registry. `hear`: told as it comes, if the engine says it.

        Raises:
            ActError: `permanent` if the registry says there is no such image, else a host fault.
        """

    def protect_images(self, owner: AppName | RunName, pinned: Sequence[str]) -> None:
        """Make exactly these images of an app, or of a test run, survive pruning."""

    def observe_named(self, kind: NamedKind, names: Sequence[str]) -> frozenset[str]:
        """The secrets, networks or configs that exist among `names`."""

    def observe_others(self, stack: StackName) -> Others:
        """What is on the engine that is not this stack's, where a release of it may meet it; a few calls."""

    def create_secret(self, app: AppName, stack: StackName, name: str, value: bytes) -> None:
        """Create a secret labelled as the app's and the stack's."""

    def remove_unused_configs(self, stack: StackName) -> None:
        """Remove configs of ours in this stack that no service uses."""

    def remove_volumes(self, stack: StackName, names: Sequence[str]) -> None:
        """Remove volumes labelled as the stack's; others, mounted and absent ones are left alone."""

    def purge(self, stack: StackName) -> tuple[str, ...]:
        """Remove whatever carries the stack's label, volumes and secrets too; gives what is not gone yet, by name."""

    def inventory(self) -> Inventory:
        """Every image with what refers to it; a call per image, for garbage collection only."""

    def remove_image(self, image_id: str, references: Sequence[str]) -> bool:
        """Remove an image without force; False if something uses it, or if it has got other names meanwhile."""
