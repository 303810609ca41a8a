"""A store's snapshots of volumes that were copied while their app ran."""

import errno
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.errors import ActError, Interrupted
from reconciler.model.snapshot import SnapshotManifest
from reconciler.node.snapshots import ahead, blocks, catch_up, content, making, restoring, seals
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.state import records
from tests.node.test_snapshots import APP, entries, make_everything, manifest, nothing, volume


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume, on a disk as far as anybody knows: no test here writes through a mapping."""
    monkeypatch.setattr(ahead, "tells_of_changes", lambda _path: True)
    found = tmp_path / "vol" / "_data"
    found.mkdir(parents=True)
    make_everything(found)
    return found


def copy_ahead(store: FolderSnapshots, data: Path, check: Callable[[], None] = nothing, rate: int = 0) -> str:
    store.room(APP, [volume(data)])
    return store.copy_ahead(APP, [volume(data)], least=0, rate=rate, check=check)


def change(data: Path) -> None:
    with (data / "plain").open("r+b") as stream:
        stream.seek(70_000)
        stream.write(b"changed")
    (data / "empty").unlink()
    (data / "later").write_text("later")


def create(store: FolderSnapshots, data: Path) -> SnapshotManifest:
    return store.create(manifest(), [volume(data)], before_exchange=nothing)


def assert_restores(store: FolderSnapshots, data: Path) -> None:
    before = entries(data)
    assert store.verify(APP) == () and store.drill(APP) == ()
    (data / "plain").write_text("of the failed release")
    store.restore(APP, [volume(data)], "op")
    assert entries(data) == before
    store.forget_aside(APP, [volume(data)])
    assert sorted(path.name for path in (store.root / APP).iterdir()) == ["snapshot"]
    assert len(list((store.root / APP / "snapshot" / "volumes").iterdir())) == 2


def test_it_is_of_what_is_there_when_the_app_is_down(data: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    assert copy_ahead(store, data) == ""
    change(data)
    made = create(store, data)
    assert made.volumes[0].sha256.startswith(blocks.MARK)
    assert records.read(store.folder(APP) / "manifest.json", SnapshotManifest) == made
    assert_restores(store, data)


def test_the_snapshot_before_goes_after_the_window_and_before_its_room_is_needed(data: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    create(store, data)
    before = (tmp_path / APP / "snapshot").stat().st_ino
    for end in (lambda: store.forget_aside(APP, []), lambda: store.restore(APP, [volume(data)], "op")):
        assert copy_ahead(store, data) == ""
        create(store, data)
        assert (tmp_path / APP / ".snapshot.partial").stat().st_ino == before, "it is down, and waits for nothing"
        before = (tmp_path / APP / "snapshot").stat().st_ino
        end()
        assert not (tmp_path / APP / ".snapshot.partial").exists()


def test_damage_to_any_byte_of_what_is_needed_is_found(data: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    copy_ahead(store, data)
    tar = store.folder(APP) / create(store, data).volumes[0].archive
    whole = tar.read_bytes()
    for at in range(100, len(whole), 4096):
        tar.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.verify(APP) != (), at


def test_what_becomes_of_a_copy_that_no_snapshot_was_made_of(data: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    copy_ahead(store, data)
    assert (tmp_path / APP / ".snapshot.partial").is_dir()
    store.drop_ahead(APP)
    assert list((tmp_path / APP).iterdir()) == []
    store.drop_ahead(APP)


def test_a_copy_that_was_left_by_a_killed_process_is_never_used(data: Path, tmp_path: Path) -> None:
    copy_ahead(FolderSnapshots(tmp_path), data)
    change(data)
    store = FolderSnapshots(tmp_path)
    assert not create(store, data).volumes[0].sha256.startswith(blocks.MARK)
    assert_restores(store, data)


@pytest.mark.parametrize(
    "raised",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ActError("does not read back"),
        struct.error("unpack requires a buffer of 72 bytes"),
        RuntimeError("can't start new thread"),
    ],
    ids=str,
)
def test_a_copy_that_is_of_no_use_is_no_reason_for_having_no_snapshot(
    data: Path, tmp_path: Path, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderSnapshots(tmp_path)
    copy_ahead(store, data)
    change(data)

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(catch_up, "catch_up", fail)
    create(store, data)
    assert_restores(store, data)


@pytest.mark.parametrize("suffix", ["digests", "seals"])
def test_what_was_noted_of_a_copy_and_is_damaged_is_found_before_it_is_sealed(
    data: Path, tmp_path: Path, suffix: str
) -> None:
    store = FolderSnapshots(tmp_path)
    (data / "db").write_bytes(b"d" * (1 << 20))
    copy_ahead(store, data)
    with (data / "db").open("r+b") as stream:
        stream.write(b"changed")
    for notes in tmp_path.glob(f"{APP}/.snapshot.partial/volumes/*.{suffix}"):
        with notes.open("r+b") as stream:
            stream.seek(notes.stat().st_size - 40)
            stream.write(bytes(32))
    assert not create(store, data).volumes[0].sha256.startswith(blocks.MARK), "it is made anew"
    assert_restores(store, data)


@pytest.mark.parametrize("raised", [OSError(errno.EIO, "I/O"), RuntimeError("can't start new thread")], ids=str)
def test_what_cannot_be_copied_ahead_leaves_nothing_and_stops_nothing(
    data: Path, tmp_path: Path, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderSnapshots(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(making, "copy_all", fail)
    assert copy_ahead(store, data) == str(raised)
    assert list((tmp_path / APP).iterdir()) == []


def test_a_running_app_keeps_some_room(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderSnapshots(tmp_path)
    store.room(APP, [volume(data)])
    monkeypatch.setattr(making, "free_bytes", lambda _path: 0)
    assert store.copy_ahead(APP, [volume(data)], least=0, rate=0, check=nothing) == "the disk is getting full"
    assert list((tmp_path / APP).iterdir()) == []


def test_where_room_is_short_the_snapshot_before_goes_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release that is tried next may want it."""
    store = FolderSnapshots(tmp_path)
    create(store, data)
    assert copy_ahead(store, data) == ""
    monkeypatch.setattr(making, "free_bytes", lambda _path: 1000)
    create(store, data)
    assert not (tmp_path / APP / ".snapshot.partial").exists()


def test_what_a_killed_process_left_counts_as_free(data: Path, tmp_path: Path) -> None:
    (data / "large").write_bytes(os.urandom(8 << 20))
    assert copy_ahead(FolderSnapshots(tmp_path), data) == ""
    before = restoring.free_bytes(tmp_path)
    found = FolderSnapshots(tmp_path).room(APP, [volume(data)])
    assert found.free_snapshots > before + (6 << 20)


def test_a_stop_is_heard_within_a_large_file_and_while_it_is_read_back(data: Path, tmp_path: Path) -> None:
    """Two entries, the folder and the file: more is asked than once for each."""
    for path in list(data.iterdir()):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (data / "large").write_bytes(os.urandom(8 << 20))
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1

    assert copy_ahead(FolderSnapshots(tmp_path), data, check) == ""
    assert asked > 3 * (8 << 20) // blocks.SIZE // 2


def test_a_sparse_file_that_grows_while_it_is_asked_for_its_data(data: Path) -> None:
    path = data / "grows"
    with path.open("wb") as stream:
        stream.truncate(8 << 20)
        stream.seek(4 << 20)
        stream.write(b"data")
    with path.open("rb") as stream:
        assert content.data_extents(stream.fileno(), 1 << 20) == ()


def test_another_volume_or_another_clock_makes_a_copy_worthless(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderSnapshots(tmp_path)
    copy_ahead(store, data)
    monkeypatch.setattr(ahead.Copy, "is_of_this_clock", lambda _self: False)
    assert not create(store, data).volumes[0].sha256.startswith(blocks.MARK)
    monkeypatch.undo()
    other = tmp_path / "other" / "_data"
    other.mkdir(parents=True)
    (other / "plain").write_text("another volume of that name")
    assert copy_ahead(store, data) == ""
    assert not create(store, other).volumes[0].sha256.startswith(blocks.MARK)
    assert_restores(store, other)


def test_little_data_is_not_copied_ahead(data: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    store.room(APP, [volume(data)])
    assert store.copy_ahead(APP, [volume(data)], least=1 << 30, rate=0, check=nothing) == "too little data"
    assert not (tmp_path / APP).exists()


def test_a_stop_gives_it_up_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted("asked to stop")

    store = FolderSnapshots(tmp_path)
    with pytest.raises(Interrupted):
        copy_ahead(store, data, stop)
    assert list((tmp_path / APP).iterdir()) == []


def test_it_takes_as_long_as_the_rate_says(data: Path, tmp_path: Path) -> None:
    """100 kB at 1 GB/s need no rest; a stop that comes in a rest is heard."""
    store, asked = FolderSnapshots(tmp_path), 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise Interrupted("asked to stop")

    assert copy_ahead(store, data, rate=1 << 30) == ""
    with pytest.raises(Interrupted):
        copy_ahead(store, data, stop, rate=1)


def test_snapshots_with_the_digests_of_before_are_read(data: Path, tmp_path: Path) -> None:
    """Before ADR 0022 a large file had the sha256 of its content, a sparse one that of its numbered blocks."""
    store = FolderSnapshots(tmp_path)
    made = create(store, data)
    folder = store.folder(APP)
    [archived] = made.volumes
    lines = []
    with (folder / archived.archive).open("rb") as tar:
        for entry in seals.read_index(folder / archived.index, None):
            if entry.digest.startswith(blocks.MARK):
                at, fd = entry.offset, tar.fileno()
                if entry.extents is None:
                    entry.digest = content.range_digest(fd, at, entry.size)
                else:
                    entry.digest = content.sparse_digest(fd, entry.extents, entry.size, at)
            lines.append(json.dumps(entry.to_json()) + "\n")
    assert sum(len(json.loads(line).get("digest", "")) == 64 for line in lines) > 3
    (folder / archived.index).write_text("".join(lines), errors="surrogateescape")
    sealed = archived.model_copy(update={"index_sha256": seals.file_digest(folder / archived.index)})
    (folder / "manifest.json").write_bytes(records.dump(made.model_copy(update={"volumes": (sealed,)})))
    assert_restores(FolderSnapshots(tmp_path), data)
