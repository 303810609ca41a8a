"""What plan and explain say of a world is what the next pass does in it: a property over random worlds."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.engine.context import Context
from reconciler.engine.host import fetch
from reconciler.engine.operate import explain, plan, suspend
from reconciler.model.result import ResultKind
from tests.engine.live import test_standing_alerts as scenes
from tests.fakes.world import Behaviour, Host

K = ResultKind
_ENDS = {
    "deploy": {K.DEPLOYED, K.DEPLOY_FAILED, K.UNHEALTHY},
    "heal": {K.HEALED, K.UNHEALTHY},
    "upgrade": {K.UPGRADED, K.RECONFIGURED, K.ROLLED_BACK, K.ROLLBACK_FAILED},
    "rollback": {K.ROLLED_BACK, K.ROLLBACK_FAILED},
    "adopt": {K.ADOPTED, K.UNMANAGED},
    "resume": set(K),
}


def publish_good(host: Host) -> None:
    host.release("1.0.2+5.0.2", Behaviour(schema=2))


def unpublish(host: Host) -> None:
    host.recipes.releases.clear()


def drift(host: Host) -> None:
    for running in host.engine.services.values():
        running.spec = {**running.spec, "x": 1}


def lose_volumes(host: Host) -> None:
    for volume in host.engine.volumes.values():
        shutil.rmtree(Path(volume.path).parent)
    host.engine.volumes.clear()


def lose_registry(host: Host) -> None:
    host.registry.offline = not host.registry.offline


def move_tags(host: Host) -> None:
    host.recipes.moved = dict.fromkeys(host.recipes.releases, "f" * 40)


def lose_snapshot(host: Host) -> None:
    for path in (host.root / "state" / "notes" / "snapshot").rglob("*.tar"):
        path.write_bytes(b"gone")


def fill_disk(host: Host) -> None:
    full = host.settings.limits.reserve > 10
    limits = host.settings.limits.model_copy(update={"reserve": 2.1 if full else 1e15})
    host.settings = host.settings.model_copy(update={"limits": limits})


def pause_all(host: Host) -> None:
    context = _context(host)
    if not suspend.resume(context):
        suspend.suspend(context, "why not", None, everything=True)


def forget(host: Host) -> None:
    for path in (host.root / "state").rglob("known_good.json"):
        path.unlink()


STEPS: list[Callable[[Host], None]] = [
    *scenes.STEPS,
    publish_good,
    unpublish,
    drift,
    lose_volumes,
    lose_registry,
    move_tags,
    lose_snapshot,
    fill_disk,
    pause_all,
    forget,
]


def _context(host: Host) -> Context:
    return Context(ports=host.ports(), settings=host.settings, spec=host.specs[0], actor="ops")


def check(host: Host) -> str:
    """Plan, explain, then do; gives what was done."""
    context = _context(host)
    began = host.clock.seconds
    url = context.spec.recipe.url
    problem = fetch.fetch_all(context.ports, [url]).get(url)
    row = plan.plan(context, host.engine.look(), problem)
    # The same world for all three: asking takes time, in which a task grows old enough to be judged.
    host.clock.seconds = began
    told = explain.explain(context, context.ports.engine.look(), problem)
    host.clock.seconds = began
    [report] = host.reconcile()
    outcome = report.outcome
    if row.unreadable:
        assert str(outcome.result) == str(row.result)
        return str(outcome.result)
    reasons = [hold.reason for hold in row.holds]  # not their words: free room is another figure each time
    assert (row.action, reasons) == (told.next, [hold.reason for hold in told.holds])
    seen = (row.action, reasons, str(outcome.result), outcome.evidence)
    if row.action == "nothing":
        assert str(row.result) == str(outcome.result), seen
    elif row.holds:
        assert (outcome.result.hold, [hold.reason for hold in outcome.holds]) == (reasons[0], reasons), seen
    else:
        assert outcome.result.kind in _ENDS[row.action], seen
    return str(outcome.result)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8))
def test_the_pass_does_what_the_plan_says(walk: list[Callable[[Host], None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        host.release("1.0.0+5.0.0")
        host.result()
        for step in walk:
            step(host)
            check(host)


def test_a_heal_without_its_volumes_is_held_in_the_plan_too(host: Host) -> None:
    host.engine.services.clear()
    lose_volumes(host)
    assert check(host) == "held-volumes-changed:1.0.0+5.0.0"
