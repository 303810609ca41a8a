"""Outcomes by day, for people who look at weeks. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from reconciler.model.history import HistoryLine
from reconciler.model.result import word_of


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """One day (UTC); `counts`: by the first word of the result, the most frequent first."""

    day: date
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All outcomes of the day."""
        return sum(self.counts.values())


def count_days(lines: Iterable[HistoryLine], days: int, now: datetime) -> list[DayCount]:
    """The last `days` days, today's last; a day without an outcome is there, too."""
    today = now.astimezone(UTC).date()
    found: dict[date, Counter[str]] = {today - timedelta(days=back): Counter() for back in range(days - 1, -1, -1)}
    for line in lines:
        day = line.ts.astimezone(UTC).date()
        if day in found:
            found[day][word_of(line.result)] += 1
    return [DayCount(day=day, counts=dict(counts.most_common())) for day, counts in found.items()]


def bar(total: int, most: int, width: int) -> str:
    """A bar as long as its share of the greatest day; one outcome is always to be seen."""
    return "█" * max(round(width * total / most), 1) if total and most else ""
