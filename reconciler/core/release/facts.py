"""Everything that is known about one app before anything is decided: one value, built once per pass. Pure.

Read by `live.assess`, `live.plan`, `live.gate` and the canonicals; filled by `engine.release.facts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.core.release import placement, versions
from reconciler.model.app import AppSpec
from reconciler.model.data_stamp import DataStamp
from reconciler.model.journal import Journal
from reconciler.model.memory import Memory
from reconciler.model.observed import StackObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.recipe import Tags
from reconciler.model.release import KnownGood


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """An app that another one comes `after`. `is_changing`: a change of it is under way, or was interrupted."""

    name: str
    stack: StackObs
    is_changing: bool = False


@dataclass(frozen=True, kw_only=True)
class AppFacts:
    """What one app's pass starts from.

    `desired`: digest of today's settings, '' if an overlay could not be read. `running`: the version by labels.
    `answer` None: not probed, or nothing to probe. `committed_answer`: to the health settings that known-good was
    committed with, asked only where the spec's differ and were not answered. `recipe_problem`: tags could not be read
    or fetched, as text. `stamps`: of the app's volumes that exist, which release wrote them. `taken_ports`: as in
    `World`; None: not known. `here`: id of the node whose volumes are looked after, '' where the Swarm has one node.
    """

    spec: AppSpec
    known: KnownGood | None
    journal: Journal | None
    memory: Memory
    stack: StackObs
    tags: Tags
    choice: versions.Choice
    desired: str
    running: str | None
    answer: ProbeAnswer | None = None
    committed_answer: ProbeAnswer | None = None
    neighbours: tuple[Neighbour, ...] = ()
    stamps: Mapping[str, DataStamp] = field(default_factory=dict)
    recipe_problem: str | None = None
    taken_ports: frozenset[int] | None = None
    here: str = ""

    @property
    def away(self) -> tuple[str, ...]:
        """Services of an app with data that run where its volumes are not looked after; nothing may be done to it."""
        return placement.find_away(self.stack, self.here) if self.here and self.spec.stateful else ()

    @property
    def candidate(self) -> versions.Version | None:
        """The version that is wanted; None: nothing in the repository is."""
        return self.choice.candidate

    @property
    def evidence(self) -> tuple[str, ...]:
        """What was seen while choosing."""
        return self.choice.evidence

    @property
    def origin(self) -> str | None:
        """The version on record as known-good."""
        return self.known.release.version if self.known else None

    @property
    def runs_another(self) -> bool:
        """Whether what runs says, by its labels, that it is another version than the one on record."""
        return self.known is not None and self.running is not None and self.running != self.known.release.version

    @property
    def settings_moved(self) -> bool:
        """Whether known-good was rendered with other settings than today's, as far as today's can be read."""
        return self.known is not None and bool(self.desired) and self.desired != self.known.desired

    @property
    def release_moved(self) -> bool:
        """Whether another version is wanted than the one on record."""
        return self.known is not None and self.candidate is not None and self.candidate.text != self.origin
