"""Health requests, as a Protocol. Pure."""

from typing import Protocol

from reconciler.model.probe import Probe, ProbeAnswer


class Prober(Protocol):
    """Health requests."""

    def probe(self, probe: Probe) -> ProbeAnswer:
        """Ends within the probe's deadline, never raises."""
