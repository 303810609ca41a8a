"""Versions: parsed, ordered, classified, chosen."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.release import versions
from reconciler.core.release.versions import TrackPolicy, choose, classify, in_track, parse, stepped_over
from reconciler.model.recipe import Tags
from tests.builders import NOW, memory


def v(text: str) -> versions.Version:
    found = parse(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize("text", ["", "1.0.0", "1.0+5.0", "v1.0.0+5.0", "1.0.0+", "latest", "01.0.0+1", "1.0.0 +1"])
def test_what_is_not_a_version_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("9.0.0+1.0", "10.0.0+1.0"),
        ("1.0.0-rc.1+2.0", "1.0.0+2.0"),
        ("1.0.0+1.9.0", "1.0.0+1.10.0"),
        ("1.0.0+v1.6.9-0", "1.0.0+v1.6.870-0"),
        ("1.0.0+1.9", "1.0.0+v1.10"),
        ("1.3.0+6.42.0-alpine", "1.3.0+6.43.0-alpine"),
        ("2.0.0+1.0.6-social-amd64", "2.0.1+1.0.5-social-amd64"),
    ],
)
def test_orders_by_recipe_semver_then_app_naturally(lower: str, higher: str) -> None:
    assert v(lower) < v(higher)


version_texts = st.builds(
    "{}.{}.{}+{}".format,
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,2}(-[a-z]{1,6})?", fullmatch=True),
)


@given(st.lists(version_texts, min_size=1, max_size=8))
def test_any_set_of_versions_has_one_order(texts: list[str]) -> None:
    ordered = sorted(map(v, texts))
    assert ordered == sorted(map(v, reversed(texts)))
    assert all(a <= b for a, b in pairwise(ordered))


@pytest.mark.parametrize(
    ("origin", "target", "recipe", "app", "unclear"),
    [
        ("10.7.1+26.6.2", "10.7.2+26.6.3", False, False, False),
        ("10.7.1+26.6.2", "11.0.0+26.6.2", True, False, False),
        ("10.7.1+26.6.2", "10.8.0+27.0.0", False, True, False),
        ("1.0.0+v1.6.870-0", "1.0.1+v2.0.0-0", False, True, False),
        ("1.0.0+social-amd64", "1.0.1+next", False, False, True),
        ("1.0.0+social", "1.0.1+social", False, False, False),
        ("1.0.0+1.29.0", "1.0.1+stable", False, False, True),
    ],
)
def test_classifies_both_parts(origin: str, target: str, recipe: bool, app: bool, unclear: bool) -> None:
    bump = classify(v(origin), v(target))
    assert (bump.recipe_major, bump.app_major, bump.app_unclear) == (recipe, app, unclear)


@pytest.mark.parametrize(
    ("text", "track", "wanted"),
    [
        ("10.7.1+26.6.2", "latest", True),
        ("10.7.1+26.6.2", "10.x", True),
        ("11.0.0+26.6.2", "10.x", False),
        ("10.7.1+26.6.2", "10.7.x", True),
        ("10.8.0+26.6.2", "10.7.x", False),
        ("10.7.1+26.6.2", "10.7.1", True),
        ("10.7.1+26.6.2", "10.7.1+26.6.2", True),
        ("10.7.1+26.6.3", "10.7.1+26.6.2", False),
        ("10.7.1-rc.1+26.6.2", "latest", False),
        ("1.0.0+5.0.9-beta1", "latest", False),
        ("1.0.0+5.0.9-rc.1", "1.x", False),
        ("1.0.0+v5.0.9-alpha", "latest", False),
        ("1.0.0+5.0.9rc2", "latest", False),
        ("1.0.0+5.0.0b3", "latest", False),
        ("1.0.0+2026.1.0-dev", "latest", False),
        ("1.0.0+5.0.9-SNAPSHOT", "latest", False),
        ("1.0.0+6.0-preview.2", "latest", False),
        ("1.0.0+5.0.9-beta1", "1.0.0+5.0.9-beta1", True),
        ("1.0.0+5.0.9-beta1", "1.0.0", True),
        ("1.0.0+5.0.9-alpine", "latest", True),
        ("1.0.0+5.0.9-alpine3.20", "latest", True),
        ("1.0.0+v1.6.870-0", "latest", True),
        ("1.0.0+5.0.9-debian-12", "latest", True),
        ("1.0.0+social-amd64", "latest", True),
        ("1.0.0+march", "latest", True),
        ("1.0.0+5.0.9b1f00c", "latest", True),
        ("1.0.0+7.2-arch", "latest", True),
    ],
)
def test_tracks(text: str, track: str, wanted: bool) -> None:
    assert in_track(v(text), track, prerelease=False) is wanted


@pytest.mark.parametrize("text", ["1.0.1+5.0.9-beta1", "1.0.1-rc.1+5.0.9"])
def test_a_pre_release_of_either_part_is_taken_only_if_asked_for(text: str) -> None:
    asked = TrackPolicy(track="latest", prerelease=True, cooldown_s=0)
    assert choose(tags("1.0.0+5.0.8", text), {}, LATEST, None, NOW).candidate == v("1.0.0+5.0.8")
    assert choose(tags("1.0.0+5.0.8", text), {}, asked, None, NOW).candidate == v(text)


def test_what_runs_is_kept_though_it_is_a_pre_release() -> None:
    assert choose(tags("1.0.0+5.0.9-beta1"), {}, LATEST, v("1.0.0+5.0.9-beta1"), NOW).candidate == v(
        "1.0.0+5.0.9-beta1"
    )


def tags(*names: str, lightweight: tuple[str, ...] = ()) -> Tags:
    return Tags(annotated=dict.fromkeys(names, "c" * 40), lightweight=lightweight)


LATEST = TrackPolicy(track="latest", prerelease=False, cooldown_s=0)


def test_the_greatest_is_chosen_and_never_by_text() -> None:
    found = choose(tags("9.0.0+1.0", "10.0.0+1.0", "2.0.0+1.0"), {}, LATEST, None, NOW)
    assert found.candidate == v("10.0.0+1.0")


def test_lightweight_and_malformed_tags_are_named_not_taken() -> None:
    found = choose(tags("1.0.0+1.0", "release-7", lightweight=("2.0.0+1.0",)), {}, LATEST, None, NOW)
    assert found.candidate == v("1.0.0+1.0")
    assert any("2.0.0+1.0 is lightweight" in text for text in found.evidence)
    assert any("release-7" in text for text in found.evidence)


def test_vanished_tags_downgrade_nothing() -> None:
    found = choose(tags("1.0.0+1.0"), {}, LATEST, v("2.0.0+1.0"), NOW)
    assert found.candidate == v("2.0.0+1.0")
    assert any("nothing is downgraded" in text for text in found.evidence)


def test_an_exact_pin_may_go_backwards() -> None:
    policy = TrackPolicy(track="1.0.0+1.0", prerelease=False, cooldown_s=0)
    assert choose(tags("1.0.0+1.0", "2.0.0+1.0"), {}, policy, v("2.0.0+1.0"), NOW).candidate == v("1.0.0+1.0")


def test_the_newest_release_that_is_old_enough_wins() -> None:
    seen = {
        **memory({"1.0.1+1.0": "c" * 40}, age_s=7200).tags,
        **memory({"1.0.2+1.0": "c" * 40}, age_s=60).tags,
    }
    policy = TrackPolicy(track="latest", prerelease=False, cooldown_s=3600)
    found = choose(tags("1.0.0+1.0", "1.0.1+1.0", "1.0.2+1.0"), seen, policy, v("1.0.0+1.0"), NOW)
    assert (found.candidate, found.too_young) == (v("1.0.1+1.0"), v("1.0.2+1.0"))


def test_an_approved_version_goes_before_a_newer_one() -> None:
    policy = TrackPolicy(track="latest", prerelease=False, cooldown_s=0, approved=frozenset({"2.0.0+1.0"}))
    found = choose(tags("1.0.0+1.0", "2.0.0+1.0", "3.0.0+1.0"), {}, policy, v("1.0.0+1.0"), NOW)
    assert found.candidate == v("2.0.0+1.0")


def test_age_never_goes_negative_when_the_clock_is_set_back() -> None:
    seen = memory({"1.0.0+1.0": "c"}, age_s=-7200).tags["1.0.0+1.0"]
    assert versions.age_s(seen, NOW) == 0.0
    assert versions.age_s(seen, NOW + timedelta(hours=3)) == 3600.0


def test_every_version_stepped_over_is_named() -> None:
    names = ["1.0.0+1", "1.0.1+1", "1.1.0+1", "2.0.0+1", "junk"]
    assert stepped_over(names, v("1.0.0+1"), v("1.1.0+1")) == ["1.0.1+1", "1.1.0+1"]
