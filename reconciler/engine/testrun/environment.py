"""What every run is given, and the clock that a teardown goes by. Effects: pauses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.engine.ports import Ports
from reconciler.engine.testrun.realms import RealmContext
from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import UsageError
from reconciler.model.host import Usage
from reconciler.model.settings import Settings
from reconciler.ports.checks import Checks
from reconciler.ports.node import Node
from reconciler.ports.recipes import Refs
from reconciler.state.runs import RunStore
from reconciler.state.specs import RecipeYaml


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """The host as runs see it. `realm_context` raises UsageError where no Keycloak is named.

    `node_at`: the node that holds the volumes, with snapshots below another folder.
    """

    ports: Ports
    settings: Settings
    specs: Sequence[AppSpec]
    runs: RunStore
    refs: Refs
    metadata: RecipeYaml
    checks: Checks
    realm_context: Callable[[], RealmContext]
    node_at: Callable[[Path], Node]
    usages: Callable[[Sequence[str]], Sequence[Usage]]

    @property
    def suffix(self) -> str:
        """What the domains of runs end in."""
        return self.settings.runs.domain_suffix or self.settings.domain_suffix

    def enrolled(self, name: str) -> AppSpec:
        """The canonical of that name.

        Raises:
            UsageError: there is none.
        """
        canonicals = [spec for spec in self.specs if spec.kind is Kind.CANONICAL]
        found = next((spec for spec in canonicals if spec.name == name), None)
        if found is not None:
            return found
        names = ", ".join(spec.name for spec in canonicals) or "none"
        if any(spec.name == name for spec in self.specs):
            raise UsageError(f"{name} is a live app, not a canonical; recipes that are enrolled: {names}")
        raise UsageError(f"no recipe {name!r} is enrolled; there are: {names}")
