"""Copies of all volumes of a running app, made so that it hardly notices. Effects: files; this thread's priorities.

They lie where the snapshot will be made of them, so that what a killed process left goes the way of half a snapshot.
"""

import contextlib
import ctypes
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.observed import VolumeObs
from reconciler.node.snapshots import ahead
from reconciler.node.snapshots.ahead import Copy
from reconciler.node.snapshots.content import Reach
from reconciler.node.snapshots.meters import Meters

_NICE = 10
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_THIS_THREAD, _IDLE = 1, 3 << 13
_LIBC = ctypes.CDLL(None, use_errno=True)
_LOOK_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Early:
    """What was copied into `partial`, by volume."""

    partial: Path
    copies: Mapping[str, Copy]

    def is_of(self, volumes: Sequence[VolumeObs]) -> bool:
        """Say whether it can become the snapshot of these volumes; what is new among them is copied then."""
        paths = {volume.name: volume.path for volume in volumes}
        return all(paths.get(name) == str(copy.root) and copy.is_of_this_clock() for name, copy in self.copies.items())


def copy_all(
    volumes: Sequence[VolumeObs],
    place: Callable[[VolumeObs], Path],
    meters: Callable[[VolumeObs], Meters],
    used: Mapping[Path, int],
    *,
    check: Callable[[], None],
    rate: int,
) -> Mapping[str, Copy]:
    """Copy each volume to its place, in a thread that gives way to everybody.

    `used`: bytes that volumes hold, where they were measured; `rate`: bytes a second at most, 0 = any.

    Raises:
        ActError, OSError: it cannot be done here, or now.
    """

    def copy(volume: VolumeObs) -> Copy:
        with meters(volume).open("copying ahead", used.get(Path(volume.path))) as meter:
            reach = _slow_down(meter.reach, rate, check) if rate else meter.reach
            return ahead.copy(Path(volume.path), place(volume), check, reach)

    # The threads that it starts inherit what it is given.
    with ThreadPoolExecutor(max_workers=1, initializer=_give_way) as quiet:
        return {volume.name: quiet.submit(copy, volume).result() for volume in volumes}


def _give_way() -> None:
    # Refused in the daemon's sandbox; the rate is not.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        _LIBC.syscall(number, _THIS_THREAD, 0, _IDLE)


def _slow_down(reach: Reach, rate: int, check: Callable[[], None]) -> Reach:
    told, due = 0, time.monotonic()

    def slowly(done: int) -> None:
        nonlocal told, due
        reach(done)
        # From now, not from the beginning: what was slow so far is no leave to be fast.
        due = max(due, time.monotonic()) + max(0, done - told) / rate
        told = max(told, done)
        while (early := due - time.monotonic()) > 0:
            check()
            time.sleep(min(early, _LOOK_S))

    return slowly
