"""What code does, counted: a guard of speed that a busy machine does not disturb.

`counting` counts calls of functions and of what the system is asked for in this thread; `audited` counts what a whole
program asks for. Both are the same from run to run, so that a limit can be close.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

_SYSTEM = ("posix", "fcntl")
"""Modules whose functions are calls of the system, one each or nearly so."""
_PURE = frozenset(("fspath", "fsencode", "fsdecode", "major", "minor", "makedev", "WIFSIGNALED", "strerror"))


@dataclass
class Counts:
    """`calls`: of all functions, ours and the library's; `system`: by name, of the system."""

    calls: int = 0
    system: Counter[str] = field(default_factory=Counter)


@contextmanager
def counting() -> Iterator[Counts]:
    """Count in this thread while the block lasts."""
    made = Counts()

    def heard(_frame: FrameType, event: str, about: object) -> None:
        if event not in ("call", "c_call"):
            return
        made.calls += 1
        name = getattr(about, "__name__", "")
        if event == "c_call" and getattr(about, "__module__", "") in _SYSTEM and name not in _PURE:
            made.system[name] += 1

    before = sys.getprofile()
    sys.setprofile(heard)
    try:
        yield made
    finally:
        sys.setprofile(before)


@dataclass
class Asked:
    """`opened`: files, `started`: programs, by the audit events of this interpreter, all threads."""

    opened: int = 0
    started: int = 0
    is_on: bool = True


_ASKED: list[Asked] = []


def _hear(event: str, _about: object) -> None:
    for one in _ASKED:
        one.opened += event == "open"
        one.started += event in ("subprocess.Popen", "os.fork", "os.posix_spawn")


@contextmanager
def audited() -> Iterator[Asked]:
    """Count while the block lasts. An audit hook cannot be taken away, so there is one for all."""
    if not _ASKED:
        sys.addaudithook(_hear)
        _ASKED.append(Asked())
    made = Asked()
    _ASKED.append(made)
    try:
        yield made
    finally:
        _ASKED.remove(made)
