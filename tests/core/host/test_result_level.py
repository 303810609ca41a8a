"""How loudly a result is logged: a row per kind that is not plain."""

import pytest

from reconciler.core.host import result_level
from reconciler.model.alert import Severity
from reconciler.model.result import ResultKind

ROWS = {
    "upgraded": (ResultKind.UPGRADED, True, Severity.INFO),
    "a hold": (ResultKind.HELD, True, Severity.INFO),
    "a hold of what runs": (ResultKind.HELD, False, Severity.CRITICAL),
    "rolled back": (ResultKind.ROLLED_BACK, False, Severity.WARNING),
    "a rollback that was asked for": (ResultKind.ROLLED_BACK, True, Severity.WARNING),
    "aborted": (ResultKind.ABORTED, False, Severity.WARNING),
    "rollback failed": (ResultKind.ROLLBACK_FAILED, False, Severity.CRITICAL),
    "unhealthy": (ResultKind.UNHEALTHY, False, Severity.CRITICAL),
    "an error": (ResultKind.ERROR, False, Severity.CRITICAL),
}


@pytest.mark.parametrize(("kind", "ok", "level"), ROWS.values(), ids=ROWS)
def test_a_result_is_as_loud_as_its_alert(kind: ResultKind, ok: bool, level: Severity) -> None:
    assert result_level.choose_level(kind, ok=ok) is level
