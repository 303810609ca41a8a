"""The gate: one row per situation, and all reasons at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.live import gate
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.model.hold import Hold
from reconciler.model.hold import HoldReason as R
from reconciler.model.memory import Approval, HostFaults, Memory, Quarantine, Suspension
from reconciler.model.recipe import ImageLookup, Refusal, Rendered
from reconciler.model.release import Fallback
from reconciler.model.settings import NOTE_PATTERNS
from tests.builders import NOW, facts, known, memory, release, spec

COMMIT = "c" * 40
GOOD = ImageLookup(reference="r/app:1", exists=True, local=True, pinned="r/app:1@sha256:" + "1" * 64, digest="d1")


def candidate(**changes: Any) -> UpgradeFacts:
    fields: dict[str, Any] = {
        "version": "1.0.1+5.0.1",
        "commit": COMMIT,
        "images_new": (GOOD,),
        "images_prior": (GOOD,),
    }
    policy = changes.pop("policy", ())
    rendered = Rendered(version="", commit="", doc={}, files={}, images={}, volumes={}, policy=policy)
    return UpgradeFacts(**(fields | {"rendered": rendered} | changes))


def reasons(one: UpgradeFacts, mem: Memory | None = None, **spec_changes: Any) -> list[R]:
    seen = mem or memory({"1.0.1+5.0.1": COMMIT})
    return [hold.reason for hold in decide(one, seen, **spec_changes)]


def decide(
    one: UpgradeFacts, mem: Memory, at: datetime = NOW, desired: str = "d", **spec_changes: Any
) -> tuple[Hold, ...]:
    """The gate's answer for an app that runs 1.0.0."""
    app = facts(spec=spec(**spec_changes), memory=mem, known=known(), desired=desired)
    return gate.decide(app, one, NOTE_PATTERNS, at)


def test_a_patch_without_alarming_notes_is_open() -> None:
    assert reasons(candidate(notes={"1.0.1+5.0.1": "Fixes a typo. No migration needed."})) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": "2.0.0+5.0.1"}, [R.MAJOR]),
        ({"version": "1.1.0+6.0.0"}, [R.MAJOR]),
        ({"version": "1.0.1+next"}, [R.APP_VERSION_UNCLEAR]),
        ({"commit": "e" * 40}, [R.TAG_MOVED]),
        ({"problem": "compose.yml: does not parse"}, [R.RECIPE]),
        ({"policy": (("docker-socket", "services.app.volumes"),)}, [R.POLICY]),
        ({"lost_volumes": ["notes_data"]}, [R.VOLUMES_CHANGED]),
        ({"refusals": [Refusal(file="compose.yml", place="services.app", says="no")]}, [R.RECIPE]),
        ({"fixed": ["network inner: attachable is false, sent true"]}, [R.PREFLIGHT]),
        ({"prior_healthy": False}, [R.PRIOR_UNHEALTHY]),
        ({"unkept": ["data: driver nfs"]}, [R.PREFLIGHT]),
        ({"missing": ["secret x"]}, [R.PREFLIGHT]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_reason_holds_alone(changes: dict[str, Any], expected: Sequence[R]) -> None:
    assert reasons(candidate(**changes)) == list(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Manual migration needed",
        "needs a MANUAL\nmigration",
        "This has breaking changes.",
        "Action required: read",
        "run manual steps",
        "Before you upgrade, dump the database",
        "requires manual intervention",
    ],
)
def test_notes_that_ask_for_a_human_hold(text: str) -> None:
    assert reasons(candidate(notes={"1.0.1+5.0.1": text})) == [R.MANUAL_MIGRATION]


def test_notes_of_a_version_stepped_over_count_too() -> None:
    notes = {"1.0.1+5.0.1": "manual migration", "1.0.2+5.0.2": "nothing special"}
    assert reasons(candidate(version="1.0.2+5.0.2", notes=notes)) == [R.MANUAL_MIGRATION]


def test_all_reasons_are_given_together_each_with_what_clears_it() -> None:
    one = candidate(
        version="2.0.0+6.0.0",
        notes={"2.0.0+6.0.0": "breaking change"},
        policy=(("privileged", "services.app"),),
        lost_volumes=["v"],
        problem=None,
        prior_healthy=False,
    )
    suspended = Suspension(reason="holidays", actor="ops", at=NOW)
    seen = memory({"2.0.0+6.0.0": COMMIT}, age_s=10, suspension=suspended)
    changes: dict[str, Any] = {"upgrade": {"cooldown": "1h", "window": "02:00-03:00 UTC"}}
    holds = decide(one, seen, **changes)
    found = [hold.reason for hold in holds]
    assert found == [
        R.MAJOR,
        R.MANUAL_MIGRATION,
        R.POLICY,
        R.VOLUMES_CHANGED,
        R.PRIOR_UNHEALTHY,
        R.COOLDOWN,
        R.WINDOW,
        R.SUSPENDED,
    ]
    assert all(hold.detail and hold.clears_when for hold in holds)


def test_an_approval_opens_just_that_version_and_only_what_it_may() -> None:
    approval = Approval(version="2.0.0+6.0.0", reason="read the notes", actor="ops", at=NOW)
    seen = memory({"2.0.0+6.0.0": COMMIT, "3.0.0+7.0.0": COMMIT}, age_s=1, approvals=(approval,))
    notes = {"2.0.0+6.0.0": "breaking change"}
    cooling = {"upgrade": {"cooldown": "1h"}}
    assert reasons(candidate(version="2.0.0+6.0.0", notes=notes), seen, **cooling) == []
    assert R.MAJOR in reasons(candidate(version="3.0.0+7.0.0"), seen, **cooling)
    assert reasons(candidate(version="2.0.0+6.0.0", policy=(("privileged", "x"),)), seen) == [R.POLICY]
    used = seen.model_copy(update={"approvals": (approval.model_copy(update={"used_at": NOW}),)})
    assert R.MAJOR in reasons(candidate(version="2.0.0+6.0.0"), used)


def test_the_spec_may_switch_off_what_design_lets_it() -> None:
    one = candidate(version="2.0.0+6.0.0", notes={"2.0.0+6.0.0": "breaking change"})
    assert reasons(one, memory({"2.0.0+6.0.0": COMMIT}), upgrade={"hold": []}) == []
    docker = candidate(policy=(("docker-socket", "x"),))
    assert reasons(docker, allow=["docker-socket"]) == []


@pytest.mark.parametrize(
    ("image", "held"),
    [
        (ImageLookup(reference="r/a:1", exists=False, error="not found in its registry"), True),
        (ImageLookup(reference="r/a:1", exists=None, error="registry r cannot be asked"), True),
        (ImageLookup(reference="r/a:1", exists=None, error="away", local=True, pinned="x"), False),
        (ImageLookup(reference="r/a:1", exists=True), False),
        (ImageLookup(reference="R//a", exists=None, error="malformed image reference"), True),
    ],
    ids=["missing", "registry offline", "offline but local", "only in registry", "malformed"],
)
def test_images_must_be_had_for_the_way_forward_and_back(image: ImageLookup, held: bool) -> None:
    expected = [R.PREFLIGHT] if held else []
    assert reasons(candidate(images_new=(image,))) == expected
    assert reasons(candidate(images_prior=(image,))) == expected


def test_an_image_that_changed_under_a_known_version_is_a_moved_tag() -> None:
    seen = memory({"1.0.1+5.0.1": COMMIT})
    tag = seen.tags["1.0.1+5.0.1"].model_copy(update={"images": {"r/app:1": "d0"}})
    moved = seen.model_copy(update={"tags": {"1.0.1+5.0.1": tag}})
    assert reasons(candidate(), moved) == [R.TAG_MOVED]


def test_quarantine_is_exact() -> None:
    entry = Quarantine(version="1.0.1+5.0.1", commit=COMMIT, desired="d", reason="exit 3", at=NOW)
    seen = memory({"1.0.1+5.0.1": COMMIT}, quarantine=(entry,))
    assert reasons(candidate(), seen) == [R.QUARANTINED]
    assert decide(candidate(), seen, desired="another spec") == ()
    assert reasons(candidate(version="1.0.2+5.0.2"), seen) == []


def test_host_faults_back_off_and_doubled_each_time() -> None:
    waits = []
    for count in range(1, 12):
        seen = memory({"1.0.1+5.0.1": COMMIT}, host_faults=HostFaults(count=count, last_at=NOW, reason="no leader"))
        assert reasons(candidate(), seen) == [R.HOST]
        later = [s for s in (30, 60, 120, 240, 480, 960, 1920, 3600) if _open(seen, s)]
        waits.append(later[0])
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def _open(seen: Memory, seconds: float) -> bool:
    at = NOW + timedelta(seconds=seconds)
    return not decide(candidate(), seen, at)


def test_a_suspension_ends_by_itself() -> None:
    pause = Suspension(reason="holidays", actor="ops", at=NOW, until=NOW + timedelta(hours=1))
    seen = memory({"1.0.1+5.0.1": COMMIT}, suspension=pause)
    assert reasons(candidate(), seen) == [R.SUSPENDED]
    assert _open(seen, 3601)


@pytest.mark.parametrize(
    ("window", "held"),
    [
        ("11:00-13:00 UTC", False),
        ("12:00-12:01 UTC", False),
        ("02:00-05:00 UTC", True),
        ("22:00-04:00 UTC", True),
        ("22:00-13:00 UTC", False),
        ("12:30-13:30 Europe/Berlin", False),
        ("11:00-12:00 UTC", True),
    ],
)
def test_holds_outside_the_window(window: str, held: bool) -> None:
    assert reasons(candidate(), upgrade={"window": window}) == ([R.WINDOW] if held else [])


def test_changed_settings_alone_are_no_major_and_need_no_notes() -> None:
    one = candidate(version="1.0.0+5.0.0", changes_release=False, notes={"1.0.0+5.0.0": "breaking change"})
    assert R.MAJOR not in reasons(one, memory({"1.0.0+5.0.0": COMMIT}))


BACK = Fallback(release=release("0.9.0+4.9.0"), snapshot="s" * 64)
ITSELF = Fallback(release=release("1.0.0+5.0.0"), snapshot="s" * 64)


@pytest.mark.parametrize(
    ("back", "changes_release", "after_s", "expected"),
    [
        (BACK, True, 100, [R.WATCHED]),
        (BACK, False, 100, [R.WATCHED]),
        (ITSELF, True, 100, [R.WATCHED]),
        (ITSELF, False, 100, []),  # settings after settings
        (BACK, True, 130, []),
        (BACK.model_copy(update={"snapshot": None}), True, 100, []),
        (None, True, 100, []),
    ],
)
def test_what_may_be_taken_back_keeps_its_way_back(
    back: Fallback | None, changes_release: bool, after_s: float, expected: Sequence[R]
) -> None:
    """The snapshot of the next release would take the place of the one that leads back."""
    one = candidate(changes_release=changes_release, **({} if changes_release else {"version": "1.0.0+5.0.0"}))
    committed = known(fallback=back, bake_until=NOW + timedelta(seconds=120))
    app = facts(spec=spec(), memory=memory({one.version: COMMIT}), known=committed, desired="d")
    at = NOW + timedelta(seconds=after_s)
    assert [hold.reason for hold in gate.decide(app, one, NOTE_PATTERNS, at)] == expected
    opened = app.memory.model_copy(
        update={"approvals": (Approval(version=one.version, reason="seen", actor="op", at=NOW),)}
    )
    assert gate.decide(replace(app, memory=opened), one, NOTE_PATTERNS, at) == ()
