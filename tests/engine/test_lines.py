"""What takes long is a log line now and then, and never a flood."""

import pytest

from reconciler.core import pace
from reconciler.engine import lines
from reconciler.engine.lines import Lines
from reconciler.model.moved import Amount, Moved

MIB = 1 << 20


class Told:
    """Lines of one clock."""

    def __init__(self, first_s: float = 10.0) -> None:
        self.now = 0.0
        self.heard: list[tuple[float, str, dict[str, str]]] = []
        self.lines = Lines(self._say, lambda: self.now, first_s)

    def _say(self, amount: Amount, words: pace.Words) -> None:
        self.heard.append((self.now, amount.doing, lines.fields(words)))

    def work(self, doing: str, seconds: float, app: str = "notes", of: int | None = 1000 * MIB) -> None:
        """10 MiB a second, told twice a second."""
        began = self.now
        for tick in range(int(seconds * 2)):
            self.now = began + tick / 2
            self.lines.tell(Moved(app=app, doing=doing, done=tick * 5 * MIB, of=of))
        self.now = began + seconds
        self.lines.tell(Moved(app=app, doing=doing, done=int(seconds) * 10 * MIB, of=of, over=True))

    def times(self) -> list[float]:
        return [at for at, _, _ in self.heard]


def test_a_minute_is_a_line_each_ten_seconds() -> None:
    told = Told()
    told.work("verify", 60)
    assert told.times() == [10, 20, 30, 40, 50]
    assert told.heard[0] == (10, "verify", {"done": "100 MiB", "of": "1.0 GiB", "rate": "10 MiB/s", "left": "90 s"})


@pytest.mark.parametrize(("first_s", "seconds", "times"), [(10, 9.5, []), (2, 1.5, []), (2, 5, [2]), (2, 15, [2, 12])])
def test_what_is_over_soon_is_no_line(first_s: float, seconds: float, times: list[float]) -> None:
    told = Told(first_s)
    told.work("verify", seconds)
    assert told.times() == times


def test_many_parts_of_one_app_are_no_flood() -> None:
    told = Told(first_s=2)
    for number in range(20):
        told.work(f"verify volume{number}", 3)
    assert len(told.heard) <= 6
    assert all(after - before >= 10 for before, after in zip(told.times(), told.times()[1:], strict=False))


def test_each_app_has_lines_of_its_own() -> None:
    told = Told()
    for tick in range(50):
        told.now = tick / 2
        for app in ("notes", "wiki"):
            told.lines.tell(Moved(app=app, doing="verify", done=tick, of=None))
    assert told.times() == [10, 10, 20, 20]
    assert told.heard[0][2].keys() == {"done", "rate"}, "what is not known is left out"


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    told = Told()
    told.now = 1000.0
    told.work("verify", 15)
    told.now = 0.0
    told.work("drill: unpacking", 60)
    assert len(told.heard) >= 2
