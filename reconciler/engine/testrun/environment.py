"""What every run is given, and the clock that a teardown goes by. Effects: pauses."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.engine.testrun.realms import Keeper
from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import DeadlineError, Interrupted, UsageError
from reconciler.model.settings import Settings
from reconciler.ports import Clock, Ports
from reconciler.ports.daemon import Usage
from reconciler.ports.runs import BackupFiles, Checks, Metadata, Refs, RunDesk


@dataclass(frozen=True, kw_only=True)
class Site:
    """The host as runs see it. `keeper` raises UsageError where no Keycloak is named."""

    ports: Ports
    settings: Settings
    specs: Sequence[AppSpec]
    desk: RunDesk
    refs: Refs
    metadata: Metadata
    checks: Checks
    backups: BackupFiles
    keeper: Callable[[], Keeper]
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


@dataclass(frozen=True)
class Limited:
    """A clock whose pauses end the run when its time is over; everything that takes long pauses."""

    clock: Clock
    until: float
    seconds: float

    @classmethod
    def of(cls, clock: Clock, seconds: float) -> "Limited":
        """From now on, so many seconds."""
        return cls(clock, clock.monotonic() + seconds, seconds)

    def now(self) -> datetime:
        """See `ports.Clock`."""
        return self.clock.now()

    def monotonic(self) -> float:
        """See `ports.Clock`."""
        return self.clock.monotonic()

    def left(self) -> float:
        """Seconds until the end, at least a little: for what has a deadline of its own."""
        return max(0.1, self.until - self.clock.monotonic())

    def wait(self, seconds: float) -> None:
        """See `ports.Clock`.

        Raises:
            DeadlineError: the time is over.
        """
        if self.clock.monotonic() >= self.until:
            raise DeadlineError(f"the run took longer than its deadline of {self.seconds:g} s")
        self.clock.wait(min(seconds, self.left()))


@dataclass(frozen=True)
class Unstoppable:
    """A clock for what must be finished: neither a request to stop nor a deadline ends its pauses."""

    clock: Clock

    def now(self) -> datetime:
        """See `ports.Clock`."""
        return self.clock.now()

    def monotonic(self) -> float:
        """See `ports.Clock`."""
        return self.clock.monotonic()

    def wait(self, seconds: float) -> None:
        """See `ports.Clock`; never raises."""
        try:
            self.clock.wait(seconds)
        except (Interrupted, DeadlineError):
            # The clock below no longer pauses; the caller looks again after this, and has a patience of its own.
            time.sleep(seconds)
