"""How fast something moves, how long it will still take, and both in words. Pure.

Called by whoever shows an `Amount`, with seconds of a clock that may stand still or be set back.
"""

import math
from dataclasses import dataclass, replace

from reconciler.model.moved import Amount, Counted, Moved

_SMOOTH_S = 5.0
"""What was longer ago than this hardly counts in a rate."""
_TICK_S = 0.001
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """`at`: seconds, of the last look that counts; `rate`: per second, smoothed, None = not known yet."""

    at: float
    done: int
    rate: float | None = None


def begin(done: int, at: float) -> Pace:
    """Look for the first time."""
    return Pace(at=at, done=done)


def follow(pace: Pace, done: int, at: float) -> Pace:
    """Look again. Nothing is learnt while the clock stands; where it was set back, measuring begins anew."""
    spent = at - pace.at
    if spent < 0:
        return replace(pace, at=at, done=done)
    if spent < _TICK_S:
        return pace
    lately = max(0, done - pace.done) / spent
    weight = 1 - math.exp(-spent / _SMOOTH_S)
    rate = lately if pace.rate is None else pace.rate + weight * (lately - pace.rate)
    return Pace(at=at, done=done, rate=rate)


def follow_amount(first: Pace, last: Pace, amount: Amount, at: float) -> Pace:
    """Look again at something that began with `first`: what is counted comes seldom, so all of its time counts."""
    return follow(first if isinstance(amount, Counted) else last, amount.done, at)


def total(amount: Amount) -> int | None:
    """How much there is in all; None also where more was done than there should be, so that it was no total."""
    return amount.of if amount.of is not None and amount.of >= amount.done else None


def share(amount: Amount) -> int | None:
    """Per cent, rounded down; None: not known."""
    of = total(amount)
    return amount.done * 100 // of if of else None


def left_s(amount: Amount, pace: Pace) -> float | None:
    """Seconds until it is done; None: not known."""
    of = total(amount)
    if isinstance(amount, Counted) and amount.left_s is not None:
        return amount.left_s
    if of is None or not pace.rate:
        return None
    return (of - amount.done) / pace.rate


@dataclass(frozen=True, kw_only=True)
class Words:
    """For people; '' = not known."""

    done: str
    of: str = ""
    share: str = ""
    rate: str = ""
    left: str = ""

    def line(self) -> str:
        """All of it: `1.2 of 4.0 GiB, 310 MiB/s, 9 s left`."""
        # The unit is said once where it is the same.
        done = self.done.partition(" ")[0] if self.of and _unit(self.done) == _unit(self.of) else self.done
        parts = (f"{done} of {self.of}" if self.of else self.done, self.rate, self.left and f"{self.left} left")
        return ", ".join(part for part in parts if part)

    def short(self) -> str:
        """What matters most: `43 %, 9 s left`."""
        parts = (self.share or self.done, f"{self.left} left" if self.left else self.rate)
        return ", ".join(part for part in parts if part)


def describe(amount: Amount, pace: Pace) -> Words:
    """Say it in words."""
    of, percent, left = total(amount), share(amount), left_s(amount, pace)
    common = {
        "share": f"{percent} %" if percent is not None else "",
        "left": describe_span(left) if left is not None else "",
    }
    if not isinstance(amount, Moved):
        return Words(done=str(amount.done), of=str(of or ""), **common)
    rate = f"{describe_size(int(pace.rate))}/s" if pace.rate is not None else ""
    if of is None:
        return Words(done=describe_size(amount.done), rate=rate, **common)
    unit = _unit_of(of)
    done = describe_size(amount.done, unit if amount.done >= unit[0] // 10 else None)
    return Words(done=done, of=describe_size(of, unit), rate=rate, **common)


def describe_size(size: int, unit: tuple[int, str] | None = None) -> str:
    """Bytes in that unit, or in one that gives a short number; below ten with one decimal."""
    factor, name = unit or _unit_of(size)
    number = size / factor
    return f"{number:.1f} {name}" if number < 10 and factor > 1 else f"{number:.0f} {name}"


def describe_span(seconds: float) -> str:
    """`9 s`, `4 min`, `2 h 5 min`; more than a day is told as that."""
    whole = math.ceil(min(seconds, 86400.0))
    if whole < 100:
        return f"{whole} s"
    minutes = math.ceil(whole / 60)
    if minutes < 100:
        return f"{minutes} min"
    if seconds > 86400:
        return "more than a day"
    return f"{minutes // 60} h {minutes % 60} min"


def _unit_of(size: int) -> tuple[int, str]:
    power = 0
    while size >= 1000 << (10 * power) and power < len(_UNITS) - 1:
        power += 1
    return 1 << (10 * power), _UNITS[power]


def _unit(text: str) -> str:
    return text.partition(" ")[2]
