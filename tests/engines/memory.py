"""Tests in memory: every record that the program writes is synced, and most of their time went into that.

Effects: root, a mount namespace, a tmpfs. What outlives a process is in memory as well as on a disk; what only a disk
has (being full, other file systems) tests make themselves. The kernel takes the memory back with the last process.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.systemd.host import cache

_ENTERED = "CI_WARM_TEST_IN_MEMORY"
_PLACE = Path("/mnt")
"""There on every machine, used by none of the tests, and short: sockets below it have long paths."""
_LEAST = 6 << 30
_SHARE = 0.7
_PROJECT = Path(__file__).parents[2]


def enter(words: Sequence[str]) -> None:
    """Go on as these words of Python with temporary files in memory, or return where that is not to be had."""
    if os.environ.get(_ENTERED) is not None:
        if os.environ[_ENTERED]:
            _mount()
        return
    if _can():
        os.environ[_ENTERED] = str(int(_available() * _SHARE))
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *words])
    os.environ[_ENTERED] = ""


def _can() -> bool:
    used = [Path(sys.executable).resolve(), Path(sys.prefix), _PROJECT, cache()]
    if os.geteuid() != 0 or not _PLACE.is_dir() or any(path.is_relative_to(_PLACE) for path in used):
        return False
    asked = ["unshare", "--mount", "mount", "-t", "tmpfs", "tests", str(_PLACE)]
    try:
        return _available() >= _LEAST and subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _available() -> int:
    """Bytes that programs can have without swapping."""
    with Path("/proc/meminfo").open() as lines:
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)


def _mount() -> None:
    options = f"size={os.environ[_ENTERED]},mode=1777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tests", str(_PLACE)], check=True)
    os.environ["TMPDIR"] = str(_PLACE)
    os.environ[_ENTERED] = ""
