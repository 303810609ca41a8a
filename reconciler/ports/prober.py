"""Questions to an app, as a Protocol. Pure."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from reconciler.model.probe import Probe, ProbeAnswer


class Prober(Protocol):
    """Asks an app whether it is well. Each call ends within its deadline, and never raises."""

    def probe(self, probe: Probe) -> ProbeAnswer:
        """One HTTP request."""

    def connect(self, address: str, port: int, timeout_s: float) -> ProbeAnswer:
        """Whether a TCP port takes a connection."""

    def command(self, argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> ProbeAnswer:
        """A program on this host; exit 0 is good. One that cannot be started is not the app's fault."""
