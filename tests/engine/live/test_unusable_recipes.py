"""A recipe that gives no release is told as such by plan, result and alert alike, and is not "nothing to do"."""

from collections.abc import Callable

import pytest

from reconciler.engine.context import Context
from reconciler.engine.operate import plan
from tests.engine.live.scenes import V1
from tests.fakes.world import Host


def lose_forge(host: Host) -> None:
    host.recipes.offline = True


def lose_git(host: Host) -> None:
    host.recipes.offline = host.recipes.unreadable = True


def make_lightweight(host: Host) -> None:
    host.recipes.lightweight = tuple(host.recipes.releases)
    host.recipes.releases.clear()


def empty(host: Host) -> None:
    host.recipes.releases.clear()


def name_badly(host: Host) -> None:
    host.recipes.releases = {"v1.0": host.recipes.releases[V1]}


def pin_nothing(host: Host) -> None:
    recipe = host.specs[0].recipe.model_copy(update={"track": "10.x"})
    host.specs[0] = host.specs[0].model_copy(update={"recipe": recipe})


CAUSES = [
    (lose_forge, "fetch failed"),
    (lose_git, "git cannot be started"),
    (make_lightweight, "has lightweight tags only"),
    (empty, "has no tags"),
    (name_badly, "none of its tags is <semver>+<app version>"),
    (pin_nothing, f"track 10.x: no annotated tag of the recipe matches; there are {V1}"),
]


@pytest.mark.parametrize("runs", [True, False], ids=["an app that runs", "an app that is absent"])
@pytest.mark.parametrize(("cause", "words"), CAUSES, ids=[cause.__name__ for cause, _ in CAUSES])
def test_a_recipe_that_gives_no_release_is_told_alike(
    host: Host, cause: Callable[[Host], None], words: str, runs: bool
) -> None:
    if not runs:
        host.specs[0] = host.specs[0].model_copy(update={"name": "fresh", "domain": "fresh.example.test"})
    cause(host)
    if cause is lose_forge and not runs:
        host.recipes.releases.clear()
    host.engine.changes.clear()
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    problem = None if not host.recipes.offline else f"{host.specs[0].recipe.url}: fetch failed"
    row = plan.plan(context, host.engine.look(), problem)
    [report] = host.reconcile()
    result = f"recipe:{V1}" if runs else "no-release"
    assert (str(report.outcome.result), report.outcome.ok, host.engine.changes) == (result, False, [])
    assert str(row.result) == result and row.unreadable
    wanted = "fetch failed" if cause is lose_git else words
    assert any(wanted in text for text in report.outcome.evidence), report.outcome.evidence
    alerts = {alert.reason: " ".join(alert.evidence) for alert in host.alerts()}
    assert set(alerts) == ({"recipe"} if runs else {"recipe", "no-release"})
    assert all(wanted in text for text in alerts.values())
    assert "no longer in the repository" not in str(report.status.evidence) or cause not in (lose_git, lose_forge)


def test_a_recipe_that_is_back_ends_it(host: Host) -> None:
    lose_git(host)
    host.reconcile()
    host.recipes.offline = host.recipes.unreadable = False
    assert host.result() == "noop-healthy"
    assert host.alerts() == []
