"""Outcomes by day: every day is there, in UTC, and a bar never hides a single outcome."""

from datetime import UTC, datetime, timedelta, timezone

from reconciler.core.host import days
from reconciler.model.history import HistoryLine

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def line(at: datetime, result: str) -> HistoryLine:
    return HistoryLine(ts=at, op_id=str(at), app="a", action="x", result=result, elapsed_seconds=1, actor="x")


def test_counts_by_utc_day_and_first_word() -> None:
    east = timezone(timedelta(hours=5))
    lines = [
        line(NOW - timedelta(days=9), "deployed:1"),
        line(NOW - timedelta(hours=2), "upgraded:1->2"),
        line(NOW - timedelta(hours=3), "upgraded:2->3"),
        line(NOW - timedelta(hours=4), "aborted"),
        line(datetime(2026, 3, 2, 3, 0, tzinfo=east), "healed:3"),
    ]
    found = days.count_days(lines, 3, NOW)
    assert [(f"{one.day:%m-%d}", one.counts) for one in found] == [
        ("02-28", {}),
        ("03-01", {"upgraded": 2, "aborted": 1, "healed": 1}),
        ("03-02", {}),
    ]


def test_bars_are_shares_of_the_greatest_day() -> None:
    assert [len(days.bar(total, 100, 30)) for total in (0, 1, 50, 100)] == [0, 1, 15, 30]
    assert days.bar(0, 0, 30) == ""
