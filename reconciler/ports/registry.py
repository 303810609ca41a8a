"""Where images come from, as a Protocol. Pure."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from reconciler.model.recipe import ImageLookup


class Registry(Protocol):
    """Where images come from."""

    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        """One answer per reference; never raises. Batched per registry. `details`: also when it was created."""
