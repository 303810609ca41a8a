"""The stop window: what is left of a snapshot for the time that the app is down, once it was copied ahead.

1 % changes between the copy and the stop: of many small files one in a hundred, of large ones random pages.
"""

import os
import random
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.saying import MANIFEST, REPEATS, say, timed
from reconciler.model.ids import AppName
from reconciler.model.observed import VolumeObs
from reconciler.node.snapshots import ahead
from reconciler.node.snapshots.store import FolderSnapshots

APP = AppName("bench")
PAGE = 16 << 10
Change = Callable[[Path], None]


def make_small(data: Path) -> None:
    for folder in range(200):
        (data / f"{folder:03}").mkdir()
        for number in range(300):
            (data / f"{folder:03}" / f"{number:03}").write_bytes(os.urandom(random.randrange(1024, 8192)))


def change_small(data: Path) -> None:
    for path in random.sample(sorted(data.glob("*/*")), 600):
        with path.open("r+b") as stream:
            stream.write(os.urandom(900))


def make_large(data: Path) -> None:
    for number in range(4):
        with (data / f"{number}").open("wb") as stream:
            for _ in range(512):
                stream.write(os.urandom(1 << 19) * 2)


def change_large(data: Path) -> None:
    for _ in range((2 << 30) // 100 // PAGE):
        with (data / f"{random.randrange(4)}").open("r+b") as stream:
            stream.seek(random.randrange((512 << 20) // PAGE) * PAGE)
            stream.write(os.urandom(PAGE))


SETS: dict[str, tuple[Change, Change]] = {
    "60,000 small files": (make_small, change_small),
    "2 GiB in 4 files": (make_large, change_large),
}


def window() -> None:
    """Seconds in the stop window, against GNU tar with fsync and against a whole snapshot of ours, in turns."""
    ahead.QUIET_NS = 0  # nobody waits a minute here, and no write is under way when the copy begins
    for name, (make, change) in SETS.items():
        # Not in memory: change times are relied on where there are disks.
        with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
            home, data = Path(made), Path(made) / "vol" / "_data"
            data.mkdir(parents=True)
            make(data)
            os.sync()
            tars, wholes, windows = _series(home, data, change)
            tar, whole, ours = (statistics.median(each) for each in (tars, wholes, windows))
            say(f"window, {name}: of GNU tar's time", f"{ours / tar:.2f}x", "goal 0.30x")
            say("  of a whole snapshot's", f"{ours / whole:.2f}x")
            say("  window, whole, tar (s)", f"{ours:.2f} {whole:.2f} {tar:.2f}")


def _series(home: Path, data: Path, change: Change) -> tuple[list[float], list[float], list[float]]:
    (home / "state").mkdir()
    store = FolderSnapshots(home / "state")
    volumes = [VolumeObs(name="v", driver="local", options={}, labels={}, path=str(data))]
    tars, wholes, windows = [], [], []
    target = home / "t.tar"
    for _ in range(REPEATS):
        argv = ["sh", "-c", f"tar --xattrs --acls -C {data} -cf {target} . && sync {target}"]
        tars.append(timed(lambda: subprocess.run(argv, check=True)))  # noqa: B023 - called at once
        target.unlink()
        wholes.append(timed(lambda: store.create(MANIFEST, volumes, before_exchange=lambda: None)))
        store.room(APP, volumes)
        if why := store.copy_ahead(APP, volumes, least=0, rate=0, check=lambda: None):
            raise RuntimeError(f"not copied ahead: {why}")
        change(data)
        os.sync()
        windows.append(timed(lambda: store.create(MANIFEST, volumes, before_exchange=lambda: None)))
    return tars, wholes, windows
