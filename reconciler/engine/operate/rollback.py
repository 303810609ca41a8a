"""An operator goes back to the version before, with its data. Effects: a whole way back."""

from collections.abc import Callable

from reconciler.engine.context import Context
from reconciler.engine.live.reconcile import roll_back
from reconciler.engine.live.way_back import find_fit, find_way_back_problems
from reconciler.engine.operate import app_lock
from reconciler.engine.release.facts import collect_facts
from reconciler.model.action import Outcome
from reconciler.model.errors import ActError, UsageError
from reconciler.model.memory import PauseScope


def rollback(
    context: Context, reason: str, confirm: Callable[[str], bool], *, to: str | None = None, wait_s: float = 0.0
) -> Outcome | None:
    """Roll back if the way back is whole and `confirm` says yes to the question; None: it said no.

    `to`: the version that it must lead to. One snapshot is kept of an app, and no release is started on data that is
    not its own, so there is one such version at most.

    Raises:
        UsageError: a change is under way, or there is nothing to roll back to, or not to that version.
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
        paused = facts.memory.suspension
        if paused is not None and paused.scope is PauseScope.DOWN:
            raise UsageError(f"{app} was undeployed by {paused.actor}; ci-warm resume {app} brings it up first")
        if known is None or known.fallback is None:
            raise UsageError(f"{app} has nothing to roll back to; see ci-warm preflight {app}")
        target = known.fallback.release.version
        if to is not None and to != target:
            raise UsageError(_explain_other(context, to, target, known.release.version))
        problems = [*facts.away, *find_way_back_problems(context, known, facts.stamps)]
        if problems:
            raise ActError(f"refused, nothing touched: {'; '.join(problems)}")
        with_data = " and its data" if known.fallback.snapshot else ""
        fit = find_fit(context, known)
        loss = f" {fit.loss[0].upper()}{fit.loss[1:]}." if fit is not None and fit.loss else ""
        # Asked under the lock: what the question says is still so when the answer comes.
        if not confirm(f"Roll {app} back from {known.release.version} to {target}{with_data}?{loss}"):
            return None
        # After the answer, because a human may take minutes and other apps' upgrades would wait meanwhile.
        turn = context.ports.locks.turn("upgrade", f"ci-warm rollback {app}")
        try:
            return roll_back(context, facts, reason)
        finally:
            turn.release()


def _explain_other(context: Context, to: str, target: str, runs: str) -> str:
    app = context.app
    if to == runs:
        return f"{to} is what runs; the way back of {app} leads to {target}"
    kept = "its data is kept with it, and of no other release" if context.spec.stateful else "its images are kept"
    pin = (
        ""
        if context.spec.stateful
        else f"; recipe.track: {to} in the spec pins an older release of an app without data"
    )
    return f"{app} can go back to {target} only: {kept}{pin}"
