"""A failed release that filled its disk can be rolled back, and nothing is given up in silence. On a real ext4."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.errors import ActError, StateError
from reconciler.node.snapshots.store import FolderSnapshots
from tests.disks import Disk, fill
from tests.fakes.world import Crash
from tests.node.test_snapshots import APP, entries, manifest, nothing, volume


class Told(list[str]):
    """What was said before data was given up."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def data(disk: Disk) -> Path:
    """A volume of 6 MiB on a disk of 24."""
    found = disk("24m") / "vol" / "_data"
    found.mkdir(parents=True)
    (found / "precious").write_bytes(os.urandom(6 << 20))
    (found / "small").write_text("small")
    return found


@pytest.fixture
def store(data: Path, tmp_path: Path) -> FolderSnapshots:
    """The state lies on another disk."""
    made = FolderSnapshots(tmp_path / "state")
    made.root.mkdir()
    made.create(manifest(), [volume(data)], before_exchange=nothing)
    return made


def test_a_release_that_filled_the_disk_is_rolled_back(data: Path, store: FolderSnapshots) -> None:
    before, told = entries(data), Told()
    (data / "precious").write_bytes(os.urandom(8 << 20))
    fill(data)
    store.restore(APP, [volume(data)], "op", give_up=told)
    assert entries(data) == before
    [text] = told
    assert str(data) in text and "MiB are needed" in text and "MiB free" in text and "s1" in text
    store.forget_aside(APP, [volume(data)])
    assert [path.name for path in data.parent.iterdir()] == ["_data"]


def test_what_fits_is_kept_aside_and_nothing_is_said(data: Path, store: FolderSnapshots) -> None:
    told = Told()
    (data / "new").write_text("of the failed release")
    store.restore(APP, [volume(data)], "op", give_up=told)
    assert told == []
    [aside] = data.parent.glob(".ci-warm-aside-*")
    assert (aside / "new").exists()


def test_nothing_is_given_up_unless_that_is_allowed(data: Path, store: FolderSnapshots) -> None:
    fill(data)
    with pytest.raises(ActError, match=r"no room .* MiB are needed, .* MiB free") as failed:
        store.restore(APP, [volume(data)], "op")
    assert str(data) in str(failed.value)
    assert (data / "filled").exists()
    assert [path.name for path in data.parent.iterdir()] == ["_data"]


def test_nothing_is_given_up_for_a_snapshot_that_is_damaged(data: Path, store: FolderSnapshots) -> None:
    tar = store.folder(APP) / "volumes" / "data.tar"
    raw = bytearray(tar.read_bytes())
    raw[3 << 20] ^= 1
    tar.write_bytes(raw)
    told = Told()
    fill(data)
    with pytest.raises((ActError, StateError), match="does not match"):
        store.restore(APP, [volume(data)], "op", give_up=told)
    assert told == []
    assert (data / "filled").exists()


def test_nothing_is_given_up_where_that_would_not_help(data: Path, store: FolderSnapshots) -> None:
    """A stranger filled the disk: without the failed data there would still be no room."""
    told = Told()
    (data / "precious").unlink()
    fill(data.parent.parent)
    with pytest.raises(ActError, match="no room"):
        store.restore(APP, [volume(data)], "op", give_up=told)
    assert told == []
    assert (data / "small").exists()
    (data.parent.parent / "filled").unlink()
    store.restore(APP, [volume(data)], "op", give_up=told)
    assert told == []


def test_nothing_goes_if_it_could_not_be_said(data: Path, store: FolderSnapshots) -> None:
    def fails(_text: str) -> None:
        raise OSError(28, "No space left on device", "journal.json")

    fill(data)
    with pytest.raises(ActError, match=r"No space left"):
        store.restore(APP, [volume(data)], "op", give_up=fails)
    assert (data / "filled").exists()


def test_one_volume_makes_room_for_another(disk: Disk, tmp_path: Path) -> None:
    """The failed release's data of the first volume is aside, so it is the second that does not fit."""
    top, store = disk("24m"), FolderSnapshots(tmp_path / "state")
    store.root.mkdir()
    datas = [top / name / "_data" for name in ("one", "two")]
    for data in datas:
        data.mkdir(parents=True)
        (data / "f").write_bytes(os.urandom(5 << 20))
    volumes = [volume(data, data.parent.name) for data in datas]
    before = [entries(data) for data in datas]
    store.create(manifest(), volumes, before_exchange=nothing)
    fill(datas[0], leave=6 << 20)
    told = Told()
    store.restore(APP, volumes, "op", give_up=told)
    assert [entries(data) for data in datas] == before
    assert len(told) == 1
    inodes = [data.stat().st_ino for data in datas]
    store.restore(APP, volumes, "op", give_up=told)
    assert [data.stat().st_ino for data in datas] == inodes, "it is done, whatever of the aside is gone"


def test_what_only_the_failed_release_had_makes_room_too(data: Path, store: FolderSnapshots) -> None:
    before = entries(data)
    made = data.parent.parent / "made" / "_data"
    made.mkdir(parents=True)
    fill(made)
    store.restore(APP, [volume(data), volume(made, "made")], "op", give_up=Told())
    assert entries(data) == before
    assert list(made.iterdir()) == []


def test_a_crash_at_any_point_of_it_is_finished_by_the_next_try(disk: Disk, tmp_path: Path) -> None:
    """Also twice: the second try dies at each point, too."""
    data = disk("24m") / "vol" / "_data"
    data.mkdir(parents=True)
    (data / "precious").write_bytes(os.urandom(6 << 20))
    (data / "folder").mkdir()
    (data / "folder" / "small").write_text("small")
    before = entries(data)
    state = tmp_path / "state"
    state.mkdir()
    FolderSnapshots(state).create(manifest(), [volume(data)], before_exchange=nothing)
    counted: list[str] = []
    fill(data)
    FolderSnapshots(state, counted.append).restore(APP, [volume(data)], "plain", give_up=Told())
    assert "restore:given-up" in counted
    for first in range(len(counted)):
        for second in range(len(counted)):
            fill(data)
            operation = f"op-{first}-{second}"
            with pytest.raises(Crash):
                FolderSnapshots(state, dies_at(first)).restore(APP, [volume(data)], operation, give_up=Told())
            with contextlib.suppress(Crash):  # what is done already has fewer points
                FolderSnapshots(state, dies_at(second)).restore(APP, [volume(data)], operation, give_up=Told())
            FolderSnapshots(state).restore(APP, [volume(data)], operation, give_up=Told())
            assert entries(data) == before, f"died at {counted[first]}, then at {second}"


def dies_at(point: int) -> Callable[[str], None]:
    """Counts the effects and stops at one."""
    seen = -1

    def effect(name: str) -> None:
        nonlocal seen
        seen += 1
        if seen == point:
            raise Crash(name)

    return effect


def test_a_snapshot_that_does_not_fit_says_what_it_wants(data: Path, disk: Disk) -> None:
    small = disk("8m")
    (data / "more").write_bytes(os.urandom(4 << 20))
    with pytest.raises(ActError, match=r"No space left.*MiB are needed.*MiB free") as failed:
        FolderSnapshots(small).create(manifest(), [volume(data)], before_exchange=nothing)
    assert str(small) in str(failed.value)
    assert [path.name for path in (small / APP).iterdir()] == []


def test_the_drill_judges_sparse_files_by_what_they_store(disk: Disk) -> None:
    top = disk("24m")
    data, state = top / "vol" / "_data", top / "state"
    data.mkdir(parents=True)
    state.mkdir()
    with (data / "image.qcow2").open("wb") as sparse:
        sparse.truncate(2 << 40)
        sparse.seek(1 << 40)
        sparse.write(os.urandom(1 << 20))
    store = FolderSnapshots(state)
    done = store.create(manifest(), [volume(data)], before_exchange=nothing)
    assert done.volumes[0].data_bytes < 2 << 20
    assert store.drill(APP) == ()


def test_the_drill_of_a_snapshot_of_before_judges_it_by_its_archive(disk: Disk) -> None:
    """Older manifests count holes as data."""
    top = disk("24m")
    data = top / "vol" / "_data"
    data.mkdir(parents=True)
    with (data / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    store = FolderSnapshots(top / "state")
    store.root.mkdir()
    done = store.create(manifest(), [volume(data)], before_exchange=nothing)
    old = done.model_copy(update={"volumes": tuple(v.model_copy(update={"data_bytes": 1 << 40}) for v in done.volumes)})
    (store.folder(APP) / "manifest.json").write_text(old.model_dump_json())
    assert store.drill(APP) == ()
