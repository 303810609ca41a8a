"""When a maintenance window is open: midnight, its edges, and the days on which clocks change."""

from datetime import UTC, datetime

import pytest

from reconciler.core.live import window

NIGHT = "02:00-05:00 Europe/Berlin"
LATE = "22:00-04:00 UTC"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "is_open"),
    [
        pytest.param(None, "2026-11-21 12:00", True, id="no window is always open"),
        pytest.param("02:00-05:00 UTC", "2026-11-21 01:59:59", False, id="a second before"),
        pytest.param("02:00-05:00 UTC", "2026-11-21 02:00", True, id="its first minute"),
        pytest.param("02:00-05:00 UTC", "2026-11-21 04:59:59", True, id="its last second"),
        pytest.param("02:00-05:00 UTC", "2026-11-21 05:00", False, id="its end minute is outside"),
        pytest.param("12:00-12:01 UTC", "2026-11-21 12:00:59", True, id="a window of one minute"),
        pytest.param("12:00-12:01 UTC", "2026-11-21 12:01", False, id="a window of one minute is over"),
        pytest.param(LATE, "2026-11-21 21:59", False, id="over midnight: before"),
        pytest.param(LATE, "2026-11-21 22:00", True, id="over midnight: begins in the evening"),
        pytest.param(LATE, "2026-11-22 00:00", True, id="over midnight: midnight itself"),
        pytest.param(LATE, "2026-11-22 03:59", True, id="over midnight: its last minute"),
        pytest.param(LATE, "2026-11-22 04:00", False, id="over midnight: its end minute is outside"),
        pytest.param("22:00-00:00 UTC", "2026-11-21 23:59", True, id="until midnight: its last minute"),
        pytest.param("22:00-00:00 UTC", "2026-11-22 00:00", False, id="until midnight: midnight is outside"),
        pytest.param("00:00-23:59 UTC", "2026-11-21 23:59", False, id="all day but its last minute"),
        pytest.param(NIGHT, "2026-11-21 00:59", False, id="winter: 01:59 in Berlin"),
        pytest.param(NIGHT, "2026-11-21 01:00", True, id="winter: 02:00 in Berlin"),
        pytest.param(NIGHT, "2026-07-21 00:00", True, id="summer: 02:00 in Berlin"),
        pytest.param(NIGHT, "2026-07-21 03:00", False, id="summer: 05:00 in Berlin"),
        pytest.param(NIGHT, "2026-03-29 00:59", False, id="spring: 01:59, the minute before the clock jumps"),
        pytest.param(NIGHT, "2026-03-29 01:00", True, id="spring: 03:00, the clock jumped into the window"),
        pytest.param(NIGHT, "2026-03-29 03:00", False, id="spring: 05:00, the window is an hour shorter"),
        pytest.param("02:00-03:00 Europe/Berlin", "2026-03-29 00:59", False, id="spring: the hour is left out: before"),
        pytest.param("02:00-03:00 Europe/Berlin", "2026-03-29 01:00", False, id="spring: the hour is left out: after"),
        pytest.param("02:30-03:30 Europe/Berlin", "2026-03-29 01:29", True, id="spring: what is left of the window"),
        pytest.param("02:00-03:00 Europe/Berlin", "2026-10-25 00:30", True, id="autumn: 02:30 for the first time"),
        pytest.param("02:00-03:00 Europe/Berlin", "2026-10-25 01:30", True, id="autumn: 02:30 for the second time"),
        pytest.param("02:00-03:00 Europe/Berlin", "2026-10-25 02:00", False, id="autumn: 03:00"),
        pytest.param("02:30-02:45 Europe/Berlin", "2026-10-25 01:00", False, id="autumn: 02:00 again, shut between"),
        pytest.param("23:00-01:00 America/New_York", "2026-11-21 04:30", True, id="the day before, in New York"),
        pytest.param("05:00-06:00 Asia/Kathmandu", "2026-11-20 23:15", True, id="a zone of quarter hours: opens"),
        pytest.param("05:00-06:00 Asia/Kathmandu", "2026-11-20 23:14", False, id="a zone of quarter hours: not yet"),
    ],
)
def test_a_window_is_open_by_the_clock_on_its_wall(text: str | None, now: str, is_open: bool) -> None:
    assert window.is_open(text, utc(now)) is is_open
