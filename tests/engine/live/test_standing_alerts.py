"""A condition that still holds is never told as resolved, whatever order of results the passes give."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.engine.context import Context
from reconciler.engine.operate import retry
from reconciler.model.alert import Alert
from tests.engine.live.scenes import crash_at
from tests.fakes.world import Behaviour, Host

V1, V2, MAJOR = "1.0.0+5.0.0", "1.0.1+5.0.1", "2.0.0+6.0.0"


def break_app(host: Host) -> None:
    host.prober.broken = True


def mend_app(host: Host) -> None:
    host.prober.broken = False


def lose_service(host: Host) -> None:
    host.engine.services.clear()


def publish_major(host: Host) -> None:
    host.release(MAJOR)


def publish_bad(host: Host) -> None:
    host.release(V2, Behaviour(schema=2, fails="after"))


def lose_forge(host: Host) -> None:
    host.recipes.offline = True


def find_forge(host: Host) -> None:
    host.recipes.offline = False


def change_settings(host: Host) -> None:
    env = {"CHANGED": str(len(host.specs[0].env.get("CHANGED", "")) + 1)}
    host.specs[0] = host.specs[0].model_copy(update={"env": env})


def deny_policy(host: Host) -> None:
    """The newest release wants something more, so that another reason comes before the one that was told."""
    host.release(MAJOR, notes="manual migration needed")


def wait_an_hour(host: Host) -> None:
    host.clock.seconds += 4000


STEPS: list[Callable[[Host], None]] = [
    break_app,
    mend_app,
    lose_service,
    publish_major,
    publish_bad,
    lose_forge,
    find_forge,
    change_settings,
    deny_policy,
    wait_an_hour,
]


def resolved(host: Host) -> dict[str, Alert]:
    found = host.ports().alerts.archived()
    return {path.name: alert for path, alert in found if (alert.resolution or "").endswith("resolved")}


def holds(alert: Alert, host: Host) -> bool:
    """Say whether the condition of an alert that was resolved in this pass holds all the same."""
    match alert.reason:
        case "unhealthy":
            return host.prober.broken and bool(host.engine.services)
        case "held-major" | "held-manual-migration":
            return alert.to_version in host.recipes.releases and host.known() != alert.to_version
        case "rollback":
            quarantined = {entry.version for entry in host.ports().store.memory(host.specs[0].app).quarantine}
            newest = max(host.recipes.releases)
            return alert.to_version in quarantined and newest == alert.to_version
        case "recipe":
            return host.recipes.offline
        case _:
            return False


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(st.sampled_from(STEPS), min_size=3, max_size=12))
def test_what_still_holds_is_never_told_as_resolved(walk: list[Callable[[Host], None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        host.release(V1)
        host.result()
        before: dict[str, Alert] = {}
        for step in walk:
            step(host)
            host.reconcile()
            ended = resolved(host)
            wrong = [ended[name].reason for name in ended.keys() - before.keys() if holds(ended[name], host)]
            assert wrong == [], (step.__name__, host.history()[-1].result)
            before = ended
        names = [alert.fingerprint for alert in host.alerts()]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("between", [lose_service, change_settings, lose_forge])
def test_a_hold_stands_while_the_gate_is_not_asked_about_it(host: Host, between: Callable[[Host], None]) -> None:
    publish_major(host)
    assert host.result() == f"held-major:{V1}->{MAJOR}"
    between(host)
    host.reconcile()
    host.recipes.offline = False
    host.reconcile()
    assert [alert.reason for alert in host.alerts() if alert.reason.startswith("held")] == ["held-major"]
    assert [alert.reason for alert in resolved(host).values() if alert.reason.startswith("held")] == []


def test_a_hold_that_gets_another_reason_keeps_its_one_alert(host: Host) -> None:
    publish_major(host)
    host.reconcile()
    host.recipes.moved[MAJOR] = "f" * 40  # tag-moved comes first in the list of reasons
    host.reconcile()
    [alert] = host.alerts()
    assert alert.reason == "held-major" and any(text.startswith("tag-moved: ") for text in alert.evidence)


def test_retry_ends_only_what_a_humans_word_ends(host: Host) -> None:
    host.prober.broken = True
    assert host.result() == f"unhealthy:{V1}"
    retry.retry(Context(ports=host.ports(), settings=host.settings, spec=host.specs[0]))
    assert [alert.reason for alert in host.alerts()] == ["unhealthy"] and resolved(host) == {}


def test_lost_volumes_are_one_condition_with_services_and_without(host: Host) -> None:
    host.engine.volumes.clear()
    for running in host.engine.services.values():
        running.spec = {**running.spec, "x": 1}
    assert host.result() == f"held-volumes-changed:{V1}"
    host.engine.services.clear()
    host.clock.seconds += 60
    assert host.result() == f"held-volumes-changed:{V1}"
    assert [alert.fingerprint for alert in host.alerts()] == [f"notes|held-volumes-changed|{V1}"]


def test_a_first_deploy_whose_way_back_fails_is_told_as_what_it_is(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.release(V1, Behaviour(fails="after"))

    def stick() -> None:
        host.engine.lingering = 10**6

    host.engine.on_undeploy = stick
    assert host.result() == f"deploy-failed:{V1}"
    host.engine.lingering = 0
    host.engine.on_undeploy = lambda: None
    host.clock.seconds += 60
    host.reconcile()
    assert [alert.reason for alert in host.alerts()] == ["deploy-failed"]


@pytest.mark.parametrize("cause", [publish_major, publish_bad, break_app, lose_forge])
def test_an_alert_says_until_when_and_in_how_many_passes_it_stood(host: Host, cause: Callable[[Host], None]) -> None:
    cause(host)
    host.reconcile()
    [alert] = host.alerts()
    first = alert.first_at
    for _ in range(3):
        host.clock.seconds += 60
        host.reconcile()
    [alert] = host.alerts()
    assert (alert.first_at, alert.count) == (first, 4)
    assert (host.clock.now() - alert.last_at).total_seconds() < 60


def test_alerts_of_an_app_that_is_no_longer_declared_are_over(host: Host) -> None:
    publish_major(host)
    host.reconcile()
    host.specs[0] = host.specs[0].model_copy(update={"name": "renamed", "domain": "renamed.example.test"})
    host.reconcile()
    assert [alert for alert in host.alerts() if alert.app == "notes"] == []
    assert [alert.reason for alert in resolved(host).values() if alert.app == "notes"] == ["held-major"]


def test_alerts_stay_while_a_change_of_an_app_that_is_no_longer_declared_is_under_way(host: Host) -> None:
    publish_major(host)
    host.reconcile()
    host.specs[0] = host.specs[0].model_copy(update={"upgrade": host.specs[0].upgrade.model_copy(update={"hold": ()})})
    crash_at(host, "snapshot:before")
    host.specs[0] = host.specs[0].model_copy(update={"name": "renamed", "domain": "renamed.example.test"})
    host.reconcile()
    assert {alert.reason for alert in host.alerts() if alert.app == "notes"} == {"held-major"}
    assert [alert.app for alert in host.alerts() if alert.reason == "orphan"] == ["host"]


def test_services_that_nobody_knew_are_no_longer_told_of_when_they_are_gone(host: Host) -> None:
    for path in host.root.rglob("known_good.json"):
        path.unlink()
    for running in host.engine.services.values():
        running.spec = {**running.spec, "deploy": {"labels": {}}}
    assert host.result() == "unmanaged:unknown-version"
    host.engine.services.clear()
    host.recipes.releases.clear()
    assert host.result() == "no-release"
    assert "unmanaged" not in [alert.reason for alert in host.alerts()]
