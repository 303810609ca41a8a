"""What a canonical needs, how a pass would end for it, and what it is called in one word."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.canonical import status
from reconciler.core.canonical.status import Act, CanonicalAssessment, CanonicalFacts
from reconciler.model.canonical import Canonical, InFlight, Use
from reconciler.model.status import Status
from tests.builders import NOW

RUN = Use(app="notes", by="notes-abc123", since=NOW)
HAND = Use(app="notes", by="manual", since=NOW)
LIFE = timedelta(minutes=15)


def canonical(**changes: Any) -> Canonical:
    fields: dict[str, Any] = {
        "app": "notes",
        "recipe": "https://git.test/notes.git",
        "stack": "notes",
        "version": "1.0.0+5.0.0",
        "commit": "a" * 40,
        "volumes": ("notes_data", "notes_files"),
        "snapshot": "s1",
        "ts": NOW,
    }
    return Canonical(**(fields | changes))


def seen(**changes: Any) -> CanonicalFacts:
    """An idle canonical with its data, but for `changes`."""
    fields: dict[str, Any] = {
        "canonical": canonical(),
        "use": None,
        "services": False,
        "stack": "notes",
        "snapshot": "s1",
        "volumes": ("notes_data", "notes_files"),
        "released": True,
    }
    return CanonicalFacts(**(fields | changes))


DATALESS = canonical(snapshot=None, volumes=())

SITUATIONS = [
    pytest.param({}, Status.IDLE, Act.NOTHING, "idle", id="idle, with its data"),
    pytest.param({"released": False}, Status.IDLE, Act.NOTHING, "idle", id="its releases vanished and it stands"),
    pytest.param(
        {"problem": "away"}, Status.IDLE, Act.UNREADABLE, "idle", id="its recipe cannot be read, and it stands"
    ),
    pytest.param(
        {"problem": "away", "canonical": None},
        Status.ABSENT,
        Act.SEED,
        "cold",
        id="cold, and the last known tags will do",
    ),
    pytest.param(
        {"volumes": ("notes_data", "notes_files", "x")}, Status.IDLE, Act.NOTHING, "idle", id="one more volume"
    ),
    pytest.param(
        {"canonical": DATALESS, "snapshot": None, "volumes": ()}, Status.IDLE, Act.NOTHING, "idle", id="no data"
    ),
    pytest.param(
        {"canonical": DATALESS, "snapshot": "s1"}, Status.IDLE, Act.NOTHING, "idle", id="no data, old snapshot"
    ),
    pytest.param(
        {"canonical": canonical(snapshot=None), "volumes": ()}, Status.IDLE, Act.NOTHING, "idle", id="no way to restore"
    ),
    pytest.param({"canonical": None}, Status.ABSENT, Act.SEED, "cold", id="nothing was promoted yet"),
    pytest.param({"canonical": None, "released": False}, Status.ABSENT, Act.NO_RELEASE, "cold", id="no release"),
    pytest.param({"canonical": None, "use": HAND}, Status.ABSENT, Act.SEED, "cold", id="cold, and a mark by hand"),
    pytest.param({"snapshot": None}, Status.ABSENT, Act.SEED, "cold", id="its snapshot is gone"),
    pytest.param({"snapshot": "s0"}, Status.ABSENT, Act.SEED, "cold", id="the snapshot is of another"),
    pytest.param(
        {"snapshot": None, "volumes": ()}, Status.ABSENT, Act.SEED, "cold", id="snapshot and volumes are gone"
    ),
    pytest.param({"volumes": ("notes_data",)}, Status.DRIFTED, Act.RESTORE, "dirty", id="one volume is gone"),
    pytest.param({"volumes": ()}, Status.DRIFTED, Act.RESTORE, "dirty", id="all volumes are gone"),
    pytest.param({"volumes": (), "use": HAND}, Status.DRIFTED, Act.RESTORE, "dirty", id="volumes are gone after hands"),
    pytest.param({"stack": "renamed"}, Status.UNKNOWN, Act.MOVED, "dirty", id="the spec names another stack"),
    pytest.param({"stack": "renamed", "volumes": ()}, Status.UNKNOWN, Act.MOVED, "dirty", id="moved: never restored"),
    pytest.param({"stack": "renamed", "snapshot": None}, Status.UNKNOWN, Act.MOVED, "dirty", id="moved: never seeded"),
    pytest.param({"services": True}, Status.UNMANAGED, Act.IN_USE, "in-use", id="services and no mark"),
    pytest.param({"services": True, "use": HAND}, Status.UNMANAGED, Act.IN_USE, "in-use", id="in use by hand"),
    pytest.param({"services": True, "use": RUN}, Status.INTERRUPTED, Act.RECOVER, "in-use", id="its run died with it"),
    pytest.param(
        {"services": True, "use": RUN, "stack": "renamed"},
        Status.INTERRUPTED,
        Act.RECOVER,
        "in-use",
        id="its run died with it, and the spec moved",
    ),
    pytest.param(
        {"services": True, "canonical": None}, Status.UNMANAGED, Act.IN_USE, "in-use", id="services, and no canonical"
    ),
    pytest.param(
        {"use": RUN, "canonical": None}, Status.INTERRUPTED, Act.RECOVER, "cold", id="a first promotion died half-way"
    ),
    pytest.param({"use": RUN}, Status.IDLE, Act.NOTHING, "dirty", id="undeployed, and its run left it dirty"),
    pytest.param({"use": HAND}, Status.IDLE, Act.NOTHING, "dirty", id="undeployed after hands"),
]


@pytest.mark.parametrize(("changes", "is_", "act", "word"), SITUATIONS)
def test_each_situation_has_its_status_its_act_and_its_word(
    changes: dict[str, Any], is_: Status, act: Act, word: str
) -> None:
    found = seen(**changes)
    judged = status.judge(found)
    assert (judged.status, judged.act, status.word(found)) == (is_, act, word)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"services": True}, "in use by a program that left no mark", id="no mark"),
        pytest.param(
            {"services": True, "use": HAND}, "in use by hand (ci-warm canonical undeploy ends it)", id="by hand"
        ),
        pytest.param({"services": True, "use": RUN}, "notes-abc123 died with it", id="its run"),
        pytest.param({"volumes": ()}, "volumes notes_data, notes_files are gone", id="all that are missing, in order"),
        pytest.param({"snapshot": "s0"}, "cold: its snapshot s1 is gone", id="its own snapshot"),
        pytest.param(
            {"stack": "b"}, "the spec names stack b, its data belongs to stack notes", id="both names of a stack"
        ),
        pytest.param({"use": RUN}, "undeployed; dirty since notes-abc123: restored before its next use", id="dirty"),
        pytest.param({"use": HAND}, "undeployed, as a canonical is when idle", id="what hands left is theirs"),
    ],
)
def test_the_reason_names_who_or_what(changes: dict[str, Any], reason: str) -> None:
    assert status.judge(seen(**changes)).reason == reason


@pytest.mark.parametrize(
    ("act", "line", "steps"),
    [
        pytest.param(Act.NOTHING, "noop-idle", (), id="idle"),
        pytest.param(Act.IN_USE, "in-use", (), id="in use"),
        pytest.param(Act.NO_RELEASE, "no-release", (), id="no release"),
        pytest.param(Act.MOVED, "held-stack-changed", (), id="moved"),
        pytest.param(Act.RECOVER, "restored", ("undeploy", "restore"), id="recover"),
        pytest.param(Act.RESTORE, "restored", ("restore",), id="restore"),
        pytest.param(Act.SEED, "seeding", ("ask for a seeding run",), id="seed"),
    ],
)
def test_how_a_pass_would_end(act: Act, line: str, steps: tuple[str, ...]) -> None:
    result, shown = status.outlook(CanonicalAssessment(status=Status.IDLE, reason="", act=act))
    assert (str(result), shown) == (line, steps)


def test_every_act_has_an_outlook() -> None:
    for act in Act:
        status.outlook(CanonicalAssessment(status=Status.IDLE, reason="", act=act))


def mark(asked: int = 1, *, key: str = "k") -> InFlight:
    return InFlight(key=key, at=NOW, asked=asked)


@pytest.mark.parametrize(
    ("left", "minutes", "in_flight"),
    [
        pytest.param(None, 0, False, id="never asked"),
        pytest.param(mark(), 0, True, id="asked just now"),
        pytest.param(mark(), 14.99, True, id="asked a quarter of an hour ago, all but"),
        pytest.param(mark(), 15, False, id="asked a quarter of an hour ago"),
        pytest.param(mark(2), 29.99, True, id="asked twice: half an hour"),
        pytest.param(mark(2), 30, False, id="asked twice: half an hour is over"),
        pytest.param(mark(6), 479.99, True, id="asked six times: eight hours"),
        pytest.param(mark(6), 480, False, id="asked six times: eight hours are over"),
        pytest.param(mark(99), 480, False, id="eight hours are the longest"),
        pytest.param(mark(0), 14, True, id="a mark from before marks were counted"),
        pytest.param(mark(key="another"), 0, False, id="another release was asked for"),
        pytest.param(mark(), -1, False, id="the clock was set back"),
    ],
)
def test_a_seeding_run_is_in_flight_for_its_time(left: InFlight | None, minutes: float, in_flight: bool) -> None:
    assert status.is_in_flight(left, "k", LIFE, NOW + timedelta(minutes=minutes)) is in_flight


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        pytest.param(None, 1, id="the first time"),
        pytest.param(mark(1), 2, id="once more"),
        pytest.param(mark(7), 8, id="again and again"),
        pytest.param(mark(7, key="another"), 1, id="another release begins at one"),
    ],
)
def test_the_next_mark_counts_how_often_the_same_was_asked_for(left: InFlight | None, asked: int) -> None:
    later = NOW + timedelta(hours=1)
    assert status.next_mark(left, "k", later) == InFlight(key="k", at=later, asked=asked)
