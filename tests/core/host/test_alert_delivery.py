"""Which alerts are told, when again, and when their end is."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reconciler.core.host import alert_delivery
from reconciler.model.alert import Alert, Severity
from tests.builders import NOW

A, B = "1-notes-rollback.json", "2-notes-unhealthy.json"
Named = Sequence[tuple[str, Alert]]


def alert(**changes: Any) -> Alert:
    base = Alert.model_validate(
        {
            "app": "notes",
            "reason": "rollback",
            "severity": "warning",
            "fingerprint": "f",
            "first_at": NOW,
            "last_at": NOW,
        }
    )
    return base.model_copy(update={"evidence": ("verify: 503",), "clears_when": "it answers", **changes})


def ended(resolution: str) -> Named:
    return [(A, alert(resolution=resolution))]


OPEN, RESOLVED = [(A, alert())], ended("resolved")
ACKED, ACKED_AND_OVER = ended("acknowledged at 12:00"), ended("acknowledged at 12:00, then resolved")
TOLD, END_TOLD = {A: "warning:1"}, {A: "resolved"}


@pytest.mark.parametrize(
    ("now_open", "archived", "delivered", "marks"),
    [
        pytest.param([], [], {}, [], id="nothing"),
        pytest.param(OPEN, [], {}, [(A, "warning:1")], id="new"),
        pytest.param(OPEN, [], TOLD, [], id="told and unchanged"),
        pytest.param([(A, alert(count=9, told=1))], [], TOLD, [], id="counted once more is no news"),
        pytest.param([(A, alert(count=9, told=2))], [], TOLD, [(A, "warning:2")], id="a new detail, or a reminder"),
        pytest.param([(A, alert(count=2))], [], TOLD, [(A, "warning:2")], id="written before"),
        pytest.param(
            [(A, alert(severity=Severity.CRITICAL))], [], TOLD, [(A, "critical:1")], id="it has become more serious"
        ),
        pytest.param([(A, alert(evidence=("other",)))], [], TOLD, [], id="other words alone are not told again"),
        pytest.param([], RESOLVED, TOLD, [(A, "resolved")], id="over, and it was told"),
        pytest.param([], RESOLVED, {}, [], id="over before it was told"),
        pytest.param([], RESOLVED, END_TOLD, [], id="over, and that was told"),
        pytest.param([], ACKED, TOLD, [], id="acknowledged is not over"),
        pytest.param([], ACKED_AND_OVER, TOLD, [(A, "resolved")], id="acknowledged, then over"),
        pytest.param([], ACKED_AND_OVER, {}, [], id="acknowledged before it was told, then over"),
        pytest.param([], [(A, alert())], TOLD, [], id="archived without a resolution"),
        pytest.param(
            [(B, alert())], RESOLVED, TOLD, [(A, "resolved"), (B, "warning:1")], id="one is new and one is over"
        ),
        pytest.param([*OPEN, (B, alert())], [], {A: "warning:1"}, [(B, "warning:1")], id="only the new one of two"),
        pytest.param([*OPEN, (B, alert())], [], {}, [(A, "warning:1"), (B, "warning:1")], id="as given, oldest first"),
    ],
)
def test_what_is_told(
    now_open: Named, archived: Named, delivered: Mapping[str, str], marks: list[tuple[str, str]]
) -> None:
    found = alert_delivery.messages(now_open, archived, delivered)
    assert [(message.key, message.mark) for message in found] == marks


@pytest.mark.parametrize(
    ("changes", "title", "body"),
    [
        pytest.param({}, "warning: notes rollback", "verify: 503\nclears when: it answers", id="without versions"),
        pytest.param(
            {"from_version": "1", "to_version": "2"},
            "warning: notes rollback",
            "1 -> 2\nverify: 503\nclears when: it answers",
            id="from one version to another",
        ),
        pytest.param(
            {"to_version": "2"},
            "warning: notes rollback",
            "- -> 2\nverify: 503\nclears when: it answers",
            id="a first deploy comes from nothing",
        ),
        pytest.param(
            {"from_version": "1", "severity": Severity.CRITICAL},
            "critical: notes rollback",
            "verify: 503\nclears when: it answers",
            id="what runs alone is no versions line",
        ),
        pytest.param(
            {"evidence": ("a", "", "b")},
            "warning: notes rollback",
            "a\nb\nclears when: it answers",
            id="no empty lines",
        ),
    ],
)
def test_a_message_says_what_happened_and_what_ends_it(changes: dict[str, Any], title: str, body: str) -> None:
    [found] = alert_delivery.messages([(A, alert(**changes))], [], {})
    assert (found.title, found.body) == (title, body)


def test_the_end_of_an_alert_says_so_and_asks_for_nothing() -> None:
    [found] = alert_delivery.messages([], RESOLVED, TOLD)
    assert (found.title, found.body) == ("resolved: notes rollback", "verify: 503")


@pytest.mark.parametrize(
    ("delivered", "sent", "now_open", "after"),
    [
        pytest.param({}, OPEN, OPEN, {A: "warning:1"}, id="told, and it stands"),
        pytest.param({}, [], OPEN, {}, id="could not be told"),
        pytest.param(TOLD, [], OPEN, TOLD, id="told before, and it stands"),
        pytest.param(TOLD, [(A, alert(told=2))], OPEN, {A: "warning:2"}, id="told again"),
        pytest.param(TOLD, RESOLVED, [], {}, id="its end was told"),
        pytest.param(TOLD, [], [], TOLD, id="its end could not be told yet"),
        pytest.param(
            {A: "warning:1", B: "warning:3"}, RESOLVED, [(B, alert())], {B: "warning:3"}, id="the other stays"
        ),
    ],
)
def test_what_is_remembered(delivered: dict[str, str], sent: Named, now_open: Named, after: dict[str, str]) -> None:
    over = [(name, one) for name, one in sent if one.resolution]
    told = alert_delivery.messages([pair for pair in sent if pair not in over], over, delivered)
    assert len(told) == len(sent)
    assert alert_delivery.remember(delivered, told, now_open) == after
