"""How long to wait after host faults; app faults are quarantined instead. Pure."""

from datetime import datetime, timedelta

from reconciler.model.memory import HostFaults

FIRST_S = 30.0
LONGEST_S = 3600.0


def next_attempt(faults: HostFaults) -> datetime:
    """Say when to try again: 30 s after the first fault in a row, doubling up to an hour."""
    # The exponent is capped before the power is taken: a host that is away for weeks would overflow the
    # number.
    return faults.last_at + timedelta(seconds=min(LONGEST_S, FIRST_S * 2 ** min(faults.count - 1, 12)))


def after_fault(faults: HostFaults | None, reason: str, now: datetime) -> HostFaults:
    """Count one more host fault."""
    return HostFaults(count=(faults.count if faults else 0) + 1, last_at=now, reason=reason[:300])
