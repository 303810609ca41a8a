"""What a quiet pass asks for, counted on a real Swarm: a guard of its speed that a busy machine does not disturb."""

from pathlib import Path

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.engine.host import one_pass
from tests.counting import Asked, audited
from tests.hosts.idle_apps import idle_apps, service_versions

pytestmark = pytest.mark.swarm
FEW, MANY = 3, 13
CALLS = 6
"""Of the Engine in a whole pass, however many apps there are."""
OPENED = 6
"""Files that one more app costs."""


def measure(home: Path, count: int) -> tuple[int, Asked]:
    """Calls of the Engine in a pass, and what else it asked for."""
    home.mkdir()
    with idle_apps(home, count) as app:
        engine = app.ports.engine
        assert isinstance(engine, SwarmEngine)
        one_pass.run(app.ports, app.settings, app.specs)
        before, engine.client.calls = service_versions(app), 0
        with audited() as asked:
            reports = one_pass.run(app.ports, app.settings, app.specs)
        calls = engine.client.calls
        assert {str(report.outcome.result) for report in reports} == {"noop-healthy"}
        assert service_versions(app) == before, "a quiet pass writes nothing"
    return calls, asked


@pytest.mark.usefixtures("swarm")
def test_a_quiet_pass_asks_for_no_more_than_it_did(tmp_path: Path) -> None:
    (few, asked), (many, asked_many) = measure(tmp_path / "few", FEW), measure(tmp_path / "many", MANY)
    assert few == many, "as many for few apps as for many"
    assert many <= CALLS
    assert asked.opened > 0
    assert (asked_many.opened - asked.opened) / (MANY - FEW) <= OPENED
    assert asked_many.started <= asked.started, "no program for each app"
