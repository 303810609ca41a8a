"""Rates and times left are told smoothly, whatever the clock and the totals do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import pace
from reconciler.model.moved import Counted, Moved

GIB, MIB = 1 << 30, 1 << 20


def moved(done: int, of: int | None) -> Moved:
    return Moved(app="notes", doing="verify", done=done, of=of)


def after(*looks: tuple[int, float]) -> pace.Pace:
    """(bytes, second) of each look; the first at 0 s."""
    found = pace.begin(0, 0.0)
    for done, at in looks:
        found = pace.follow(found, done, at)
    return found


def test_an_even_pace_is_its_rate() -> None:
    found = after(*((second * 100, float(second)) for second in range(1, 30)))
    assert found.rate == pytest.approx(100)
    assert pace.left_s(moved(2900, 5900), found) == pytest.approx(30)


def test_a_hiccup_hardly_moves_the_rate_and_a_new_pace_is_taken_on() -> None:
    steady = [(second * 100, float(second)) for second in range(1, 20)]
    hiccup = after(*steady, (1900, 19.5))
    assert hiccup.rate is not None and 85 < hiccup.rate < 100
    slower = after(*steady, *((1900 + step * 10, 19.0 + step) for step in range(1, 30)))
    assert slower.rate == pytest.approx(10, rel=0.1)


def test_a_clock_that_stands_still_teaches_nothing_and_loses_no_byte() -> None:
    assert after((500, 0.0)).rate is None
    assert after((500, 0.0), (1000, 1.0)).rate == pytest.approx(1000)


def test_a_clock_that_is_set_back_begins_to_measure_anew() -> None:
    found = after((100, 1.0), (200, -50.0))
    assert found.at == -50.0
    assert found.rate == pytest.approx(100)
    assert pace.follow(found, 300, -49.0).rate == pytest.approx(100)


def test_nothing_that_moves_has_no_end() -> None:
    assert pace.left_s(moved(0, 100), after((0, 1.0))) is None
    assert pace.left_s(moved(0, 100), pace.begin(0, 0.0)) is None


def test_more_done_than_there_should_be_is_a_total_that_was_none() -> None:
    over, steady = moved(150, 100), after((150, 1.0))
    assert (pace.total(over), pace.share(over), pace.left_s(over, steady)) == (None, None, None)
    assert pace.describe(over, steady).line() == "150 B, 150 B/s"


def test_an_empty_total_divides_nothing() -> None:
    assert pace.share(moved(0, 0)) is None
    assert pace.describe(moved(0, 0), pace.begin(0, 0.0)).line() == "0 of 0 B"


@given(st.lists(st.tuples(st.integers(0, 1 << 50), st.floats(-1e6, 1e6)), max_size=20), st.integers(0, 1 << 50))
def test_whatever_was_seen_there_is_a_line(looks: list[tuple[int, float]], of: int) -> None:
    found = after(*looks)
    amount = moved(looks[-1][0] if looks else 0, of)
    left = pace.left_s(amount, found)
    assert left is None or left >= 0
    assert found.rate is None or found.rate >= 0
    assert len(pace.describe(amount, found).line()) < 70


@pytest.mark.parametrize(
    ("done", "of", "line", "short"),
    [
        (int(1.2 * GIB), 4 * GIB, "1.2 of 4.0 GiB, 310 MiB/s, 10 s left", "29 %, 10 s left"),
        (5 * MIB, 4 * GIB, "5.0 MiB of 4.0 GiB, 310 MiB/s, 14 s left", "0 %, 14 s left"),
        (int(1.2 * GIB), None, "1.2 GiB, 310 MiB/s", "1.2 GiB, 310 MiB/s"),
        (4 * GIB, 4 * GIB, "4.0 of 4.0 GiB, 310 MiB/s, 0 s left", "100 %, 0 s left"),
    ],
)
def test_it_is_said_in_words(done: int, of: int | None, line: str, short: str) -> None:
    words = pace.describe(moved(done, of), pace.Pace(at=0, done=done, rate=310 * MIB))
    assert (words.line(), words.short()) == (line, short)


def test_things_that_are_counted_have_no_rate() -> None:
    stage = Counted(app="run", doing="stage upgrade", done=1, of=5, left_s=200)
    assert pace.describe(stage, pace.begin(0, 0.0)).line() == "1 of 5, 4 min left"
    night = Counted(app="sweep", doing="cold runs", done=3, of=12)
    assert pace.describe(night, pace.Pace(at=0, done=3, rate=0.01)).line() == "3 of 12, 15 min left"


def test_what_is_counted_goes_by_all_of_its_time() -> None:
    first = last = pace.begin(0, 0.0)
    for done, at in ((1, 1000.0), (2, 1001.0)):
        night = Counted(app="sweep", doing="cold runs", done=done, of=4)
        last = pace.follow_amount(first, last, night, at)
    assert pace.left_s(night, last) == pytest.approx(1001)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (8.2, "9 s"), (99.5, "2 min"), (3600, "60 min"), (7500, "2 h 5 min"), (1e9, "more than a day")],
)
def test_spans(seconds: float, text: str) -> None:
    assert pace.describe_span(seconds) == text
