"""A meter tells what grows, now and then, and how it ended."""

import pytest

from reconciler.model.moved import Amount, Moved
from reconciler.ports.progress import Meter

MIB = 1 << 20


class Clock:
    """Seconds that tests set; counts how often it was asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


def told(amounts: list[Amount]) -> list[tuple[int, int | None, bool]]:
    return [(amount.done, amount.of, amount.over) for amount in amounts]


def test_it_tells_twice_a_second_and_its_end() -> None:
    clock, heard = Clock(), list[Amount]()
    with Meter(heard.append, "notes", "verify", 100 * MIB, clock) as meter:
        for step in range(1, 100):
            clock.now = step * 0.1
            meter.reach(step * MIB)
    assert told(heard)[0] == (0, 100 * MIB, False)
    assert told(heard)[-1] == (100 * MIB, 100 * MIB, True)
    assert 15 <= len(heard) <= 22
    assert heard[0] == Moved(app="notes", doing="verify", done=0, of=100 * MIB)
    assert [amount.done for amount in heard] == sorted(amount.done for amount in heard)


def test_small_files_hardly_cost_a_look_at_the_clock() -> None:
    clock = Clock()
    with Meter(lambda _: None, "notes", "verify", 20_000, clock) as meter:
        for step in range(20_000):
            meter.reach(step)
    assert clock.asked < 400


def test_what_fails_is_over_too_and_not_done() -> None:
    heard = list[Amount]()
    with pytest.raises(OSError), Meter(heard.append, "notes", "verify", 100, Clock()) as meter:
        meter.reach(40)
        raise OSError
    assert told(heard)[-1] == (40, 100, True)


def test_without_a_total_what_was_done_is_the_total_in_the_end() -> None:
    heard = list[Amount]()
    with Meter(heard.append, "notes", "snapshot: copying", None, Clock()) as meter:
        meter.reach(40)
    assert told(heard)[-1] == (40, 40, True)


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    clock, heard = Clock(), list[Amount]()
    clock.now = 1000.0
    meter = Meter(heard.append, "notes", "verify", None, clock)
    meter.learn(1, 9)
    clock.now = 2.0
    meter.learn(2, 9)
    assert told(heard) == [(1, 9, False), (2, 9, False)]
