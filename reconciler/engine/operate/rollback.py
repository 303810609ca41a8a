"""An operator goes back to the version before, with its data. Effects: a whole way back."""

from collections.abc import Callable

from reconciler.engine.context import Context
from reconciler.engine.live.reconcile import roll_back
from reconciler.engine.live.way_back import find_fit, find_way_back_problems
from reconciler.engine.operate import app_lock
from reconciler.engine.release.facts import collect_facts
from reconciler.model.action import Outcome
from reconciler.model.errors import ActError, UsageError


def rollback(context: Context, reason: str, confirm: Callable[[str], bool], *, wait_s: float = 0.0) -> Outcome | None:
    """Roll back if the way back is whole and `confirm` says yes to the question; None: it said no.

    Raises:
        UsageError: a change is under way, or there is nothing to roll back to.
        ActError: the way back is not whole; nothing was touched.
        LockBusy: the app is being worked on, or another one is upgraded.
    """
    app = context.app
    with app_lock.hold(context, "rollback", wait_s):
        facts = collect_facts(context, context.ports.engine.look(), None)
        known = facts.known
        # Its snapshot may be the only way back, and which release the volumes belong to is what that change
        # decides.
        if facts.journal is not None:
            raise UsageError(f"{app} has a change under way; ci-warm reconcile {app} finishes it first")
        if known is None or known.fallback is None:
            raise UsageError(f"{app} has nothing to roll back to; see ci-warm preflight {app}")
        problems = find_way_back_problems(context, known, facts.stamps)
        if problems:
            raise ActError(f"refused, nothing touched: {'; '.join(problems)}")
        with_data = " and its data" if known.fallback.snapshot else ""
        fit = find_fit(context, known)
        loss = f" {fit.loss[0].upper()}{fit.loss[1:]}." if fit is not None and fit.loss else ""
        target = known.fallback.release.version
        # Asked under the lock: what the question says is still so when the answer comes.
        if not confirm(f"Roll {app} back from {known.release.version} to {target}{with_data}?{loss}"):
            return None
        # After the answer, because a human may take minutes and other apps' upgrades would wait meanwhile.
        turn = context.ports.locks.turn("upgrade", f"ci-warm rollback {app}")
        try:
            return roll_back(context, facts, reason)
        finally:
            turn.release()
