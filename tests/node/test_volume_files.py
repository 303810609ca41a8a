"""Single paths of a volume, out and in again, however deep they are."""

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.node.volume_files import VolumeFiles
from tests.node.test_deep_trees import descend

LEVELS = 1_500


@pytest.mark.usefixtures("few_descriptors")
def test_a_backup_of_single_paths_may_be_of_any_depth(tmp_path: Path) -> None:
    volume, saved = tmp_path / "volume", tmp_path / "saved"
    (volume / "dumps").mkdir(parents=True)
    saved.mkdir()

    def plant(fd: int, level: int) -> None:
        if level % 500 == 0:
            with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=fd), "wb") as out:
                out.write(b"level %d" % level)
        os.fchmod(fd, 0o2750)

    descend(volume / "dumps", LEVELS, "folder", plant)
    before = listing(volume)
    try:
        assert VolumeFiles().take(volume, ["dumps"], saved) == sum(len(f"level {n}") for n in range(0, LEVELS + 1, 500))
        assert listing(saved) == before
        subprocess.run(["rm", "-rf", volume / "dumps"], check=True)
        VolumeFiles().give(volume, ["dumps"], saved)
        assert listing(volume) == before
    finally:
        subprocess.run(["rm", "-rf", volume, saved], check=True)


def listing(top: Path) -> list[str]:
    found = subprocess.run(
        ["find", "dumps", "-printf", "%d %m %U %y %s %f\n"], cwd=top, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return sorted(line if " f " in line else " ".join(line.split()[:4]) for line in found)
