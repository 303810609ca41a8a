"""What an operator's suspension holds beside new releases."""

from datetime import timedelta

import pytest

from reconciler.core.live import pause
from reconciler.model.action import Action, Deploy, Heal, RollBack
from reconciler.model.memory import PauseScope, Suspension
from tests.builders import NOW, memory

CARE: list[Action] = [
    Heal(drift=("x",)),
    Deploy(target="1.0.0+5", known_good=True),
    RollBack(origin="1.0.1+5", target="1.0.0+5", reason="it fails"),
]


@pytest.mark.parametrize("action", CARE, ids=lambda action: type(action).__name__)
@pytest.mark.parametrize(("scope", "holds"), [(PauseScope.RELEASES, False), (PauseScope.ALL, True)])
def test_who_suspends_all_finds_everything_as_it_was(action: Action, scope: PauseScope, holds: bool) -> None:
    """A way back, too: what fails may be what the operator is at."""
    seen = memory(suspension=Suspension(reason="a backup", actor="ops", at=NOW, scope=scope))
    assert (pause.find_hold_of_care(seen, action, NOW + timedelta(hours=1)) is not None) is holds
