"""What an operator's suspension holds: new releases, or all that would start something. Pure.

Called by the gate, and by the plan of what the gate does not guard.
"""

from datetime import datetime

from reconciler.model.action import Action, Deploy, Heal, RollBack
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.memory import Memory, PauseScope


def find_hold(memory: Memory, now: datetime) -> Hold | None:
    """The suspension that holds releases now; None: there is none, or it is over."""
    pause = memory.suspension
    if pause is None or (pause.until is not None and now >= pause.until):
        return None
    if pause.scope is PauseScope.DOWN:
        detail = f"undeployed by {pause.actor} on {pause.at:%Y-%m-%d %H:%M} UTC: {pause.reason}"
    else:
        until = f"until {pause.until:%Y-%m-%d %H:%M} UTC" if pause.until else "until resumed"
        detail = f"suspended {until} by {pause.actor}: {pause.reason}"
    return Hold(reason=HoldReason.SUSPENDED, detail=detail, clears_when=f"ci-warm resume {memory.app}")


def find_hold_of_care(memory: Memory, action: Action, now: datetime) -> Hold | None:
    """The same for known-good that would be brought up, healed or gone back from: only where the operator said so."""
    brings_back = isinstance(action, Heal | RollBack) or (isinstance(action, Deploy) and action.known_good)
    pause = memory.suspension
    if not brings_back or pause is None or pause.scope is PauseScope.RELEASES:
        return None
    return find_hold(memory, now)
