"""What counts as drift from the services as they settled."""

import pytest

from reconciler.core.live import drift
from reconciler.model.observed import ServiceObs
from tests.builders import known, release, service, stack, update

RECORD = known(release=release(bundle="b" * 64), services={"app": "spec-1", "db": "spec-1"})
APP, DB = service(), service("db")


@pytest.mark.parametrize(
    ("services", "found"),
    [
        pytest.param((APP, DB), (), id="as settled"),
        pytest.param((DB, APP), (), id="in another order"),
        pytest.param((service(version_index=99), DB), (), id="the engine counts a deploy that changed nothing"),
        pytest.param((service(running=0), DB), (), id="its tasks are not its spec"),
        pytest.param((service(update=update("paused")), DB), (), id="an update that paused is not an edit"),
        pytest.param((service(labels={}), DB), (), id="no labels, but the spec as settled"),
        pytest.param((APP,), ("service db is gone",), id="one is gone"),
        pytest.param((), ("service app is gone", "service db is gone"), id="all are gone"),
        pytest.param(
            (service(spec_fingerprint="spec-9"), DB),
            ("service app was changed by hand (scaled or edited)",),
            id="edited",
        ),
        pytest.param(
            (service(spec_fingerprint="spec-9", labels={"ci-warm.bundle": "c" * 64}), DB),
            ("service app was changed by hand (another release)",),
            id="deployed by another program",
        ),
        pytest.param(
            (service(spec_fingerprint="spec-9", labels={}), DB),
            ("service app was changed by hand (another release)",),
            id="edited and its labels lost",
        ),
        pytest.param((APP, DB, service("web")), ("service web does not belong to the release",), id="an orphan"),
        pytest.param(
            (service("web"), service(spec_fingerprint="spec-9")),
            (
                "service app was changed by hand (scaled or edited)",
                "service db is gone",
                "service web does not belong to the release",
            ),
            id="everything at once, in the order of names and orphans last",
        ),
    ],
)
def test_drift_is_every_difference_from_what_settled(services: tuple[ServiceObs, ...], found: tuple[str, ...]) -> None:
    assert drift.find_drift(RECORD, stack(*services)) == found


def test_a_release_without_services_on_record_has_only_orphans() -> None:
    assert drift.find_drift(known(services={}), stack(APP)) == ("service app does not belong to the release",)
    assert drift.find_drift(known(services={}), stack()) == ()
