"""How loudly the result of a pass is logged. Pure. Called by the daemon."""

from reconciler.model.alert import Severity
from reconciler.model.result import ResultKind

_WARNINGS = frozenset({ResultKind.ROLLED_BACK, ResultKind.ABORTED, ResultKind.RECIPE})
"""Something went wrong and was made good, or will be; their alerts are warnings too."""


def choose_level(kind: ResultKind, *, ok: bool) -> Severity:
    """As loud as the alert that goes with it. `ok`: the pass says that the app is as it should be."""
    if kind in _WARNINGS:
        return Severity.WARNING
    return Severity.INFO if ok else Severity.CRITICAL
