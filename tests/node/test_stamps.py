"""Stamps beside volumes: kept private, and no obstacle where there is no room for them."""

from pathlib import Path

from reconciler.model.data_stamp import DataStamp
from reconciler.model.observed import VolumeObs
from reconciler.node.stamps import VolumeStamps
from tests.builders import NOW
from tests.disks import Disk, disk, fill

__all__ = ["disk"]


def volume(folder: Path) -> VolumeObs:
    return VolumeObs(name="data", driver="local", options={}, labels={}, path=str(folder / "_data"))


def stamp(version: str) -> dict[str, DataStamp]:
    return {"data": DataStamp(app="notes", volume="data", version=version, commit="c", stateful=True, at=NOW)}


def test_a_full_disk_leaves_no_false_stamp_and_stops_nothing(disk: Disk) -> None:
    """A way back on the disk that the failed release filled must not be refused for data that is gone."""
    folder = disk("4m")
    (folder / "_data").mkdir()
    stamps, where = VolumeStamps(), volume(folder)
    assert stamps.write([where], stamp("2.0.0+2")) == ()
    fill(folder / "_data")
    [told] = stamps.write([where], stamp("1.0.0+1"))
    assert "volume data cannot be stamped: No space left" in told
    assert stamps.read([where]) == {}
    assert [path.name for path in folder.iterdir() if path.name.startswith(".ci-warm")] == []
    (folder / "_data" / "filled").unlink()
    assert stamps.write([where], stamp("1.0.0+1")) == ()
    assert stamps.read([where])["data"].version == "1.0.0+1"


def test_a_volume_that_is_not_there_yet_is_passed_over(tmp_path: Path) -> None:
    assert VolumeStamps().write([volume(tmp_path)], stamp("1.0.0+1")) == ()
    assert list(tmp_path.iterdir()) == []
