"""What an app made immutable or append-only is kept, put back, and never in the way. On a real ext4."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.model.errors import ActError
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.state import inode_flags, removal
from tests.conftest import missing
from tests.disks import Disk
from tests.node.test_snapshots import APP, entries, manifest, nothing, volume


def chattr(flags: str, *paths: Path) -> None:
    subprocess.run(["chattr", flags, *paths], check=True)


def flags(path: Path) -> str:
    """As lsattr has them, without what the file system sets itself."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return inode_flags.describe(inode_flags.read(fd))
    finally:
        os.close(fd)


@pytest.fixture
def data(disk: Disk) -> Path:
    """A volume with something of each kind in it."""
    found = disk("24m") / "vol" / "_data"
    (found / "folder" / "below").mkdir(parents=True)
    (found / "folder" / "below" / "file").write_text("deep")
    (found / "plain").write_text("plain")
    os.link(found / "plain", found / "folder" / "twin")
    return found


@pytest.mark.parametrize("flag", ["+i", "+a"])
@pytest.mark.parametrize("where", ["plain", "folder", "folder/below/file", "."])
def test_failed_data_that_forbids_its_removal_blocks_no_later_rollback(data: Path, flag: str, where: str) -> None:
    """The marquee: a release leaves it, the rollback puts it aside, and the rollback after that must not care."""
    store, before = FolderSnapshots(data.parent.parent / "state"), entries(data)
    (data.parent.parent / "state").mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    for operation in ("first", "second", "third"):
        chattr(flag, data / where)
        store.restore(APP, [volume(data)], operation)
        assert entries(data) == before
        assert flags(data / where) == ""
    assert store.forget_aside(APP, [volume(data)]) == ()
    assert [path.name for path in data.parent.iterdir()] == ["_data"]


@pytest.mark.parametrize("flag", ["+i", "+a"])
def test_flags_come_back_with_the_data(data: Path, flag: str) -> None:
    marked = [data / "plain", data / "folder" / "below" / "file", data / "folder" / "below", data / "folder", data]
    chattr("+dA", *marked)
    chattr(flag, *marked)
    want = [flags(path) for path in marked]
    before = entries(data)
    store = FolderSnapshots(data.parent.parent / "state")
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    assert store.drill(APP) == ()
    assert sorted(path.name for path in (store.root / APP).iterdir()) == ["snapshot"]
    chattr(flag.replace("+", "-"), data, data / "plain")
    (data / "plain").write_text("of the failed release")
    (data / "new").write_text("of the failed release")
    assert store.restore(APP, [volume(data)], "op") == ()
    assert entries(data) == before
    assert [flags(path) for path in marked] == want
    assert os.stat(data / "plain").st_ino == os.stat(data / "folder" / "twin").st_ino
    store.restore(APP, [volume(data)], "another")
    assert [flags(path) for path in marked] == want


@pytest.mark.parametrize("flag", ["+i", "+a"])
def test_a_canonical_with_flags_is_put_back_by_what_is_unchanged(data: Path, flag: str) -> None:
    chattr(flag, data / "plain")
    before = entries(data)
    store = FolderSnapshots(data.parent.parent / "state")
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    store.remember(APP, [volume(data)])
    (data / "new").write_text("of a test")
    store.restore(APP, [volume(data)], "op")
    assert entries(data) == before
    assert flags(data / "plain") == {"+i": "immutable", "+a": "append"}[flag]
    assert store.forget_aside(APP, [volume(data)]) == ()


def test_flags_that_a_file_system_does_not_take_are_told_and_no_obstacle(data: Path, tmp_path: Path) -> None:
    chattr("+i", data / "plain")
    store = FolderSnapshots(data.parent.parent / "state")
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    elsewhere = tmp_path / "ram"
    elsewhere.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", elsewhere], check=True)
    try:
        (elsewhere / "_data").mkdir()
        told = store.restore(APP, [volume(elsewhere / "_data")], "op")
        assert told == ("folder/twin: flags cannot be put back here: immutable",)
        assert (elsewhere / "_data" / "plain").read_text() == "plain"
    finally:
        subprocess.run(["umount", elsewhere], check=True)


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_what_cannot_be_removed_at_all_is_named_and_stops_nothing(data: Path, kind: str) -> None:
    """Somebody mounted something inside the failed data: not even root can remove that, and must not empty it."""
    store, before = FolderSnapshots(data.parent.parent / "state"), entries(data)
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    (data / "mounted").mkdir()
    stranger = data.parent.parent / "stranger"
    stranger.mkdir()
    how = {"tmpfs": ["-t", "tmpfs", "tmpfs"], "bind": ["--bind", str(stranger)]}[kind]
    subprocess.run(["mount", *how, data / "mounted"], check=True)
    (data / "mounted" / "precious").write_text("a stranger's")
    try:
        for operation in ("first", "second"):
            store.restore(APP, [volume(data)], operation)
            assert entries(data) == before
        [left] = store.forget_aside(APP, [volume(data)])
        assert "mounted" in left.why and Path(left.path).is_relative_to(data.parent)
        assert (Path(left.path) / "mounted" / "precious").read_text() == "a stranger's"
        assert store.standing([left.path]) == (left.path,)
        assert [path.name for path in Path(left.path).iterdir()] == ["mounted"], "all else is gone"
        store.create(manifest("again"), [volume(data)], before_exchange=nothing)
    finally:
        subprocess.run(["umount", "-l", Path(left.path) / "mounted"], check=True)
    assert store.forget_aside(APP, [volume(data)]) == ()
    assert store.standing([left.path]) == ()


@pytest.mark.parametrize("name", [".snapshot.partial", ".drill"])
def test_what_is_left_of_an_old_try_stops_neither_a_snapshot_nor_a_drill(data: Path, name: str) -> None:
    store = FolderSnapshots(data.parent.parent / "state")
    left = store.root / APP / name / "held"
    left.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", left], check=True)
    try:
        store.create(manifest(), [volume(data)], before_exchange=nothing)
        assert store.drill(APP) == ()
        store.create(manifest("two"), [volume(data)], before_exchange=nothing)
        [told] = store.forget_aside(APP, [volume(data)])
        assert told.path == str(left.parent)
    finally:
        subprocess.run(["umount", "-l", left], check=True)
    assert store.forget_aside(APP, [volume(data)]) == ()
    assert [path.name for path in (store.root / APP).iterdir()] == ["snapshot"]


def test_a_snapshot_that_somebody_protected_gives_way_to_the_next(data: Path) -> None:
    store = FolderSnapshots(data.parent.parent / "state")
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    chattr("+i", *(store.root / APP / "snapshot").rglob("*"), store.root / APP / "snapshot")
    store.create(manifest("two"), [volume(data)], before_exchange=nothing)
    assert (found := store.observe(APP)) is not None and found.id == "two"
    assert [path.name for path in (store.root / APP).iterdir()] == ["snapshot"]


def test_a_tree_is_removed_whatever_its_flags_and_modes(data: Path) -> None:
    chattr("+i", data / "folder" / "below" / "file", data / "folder" / "below", data / "plain")
    chattr("+a", data / "folder", data)
    removal.remove_tree(data)
    assert not data.exists()


def test_a_tree_is_freed_for_whoever_else_removes_it(data: Path) -> None:
    """As `docker volume rm` does, which knows nothing of flags."""
    chattr("+i", data / "folder" / "below" / "file", data / "folder" / "below", data / "plain", data)
    removal.free_tree(data.parent)
    subprocess.run(["rm", "-r", data.parent], check=True)


def test_a_restore_that_fails_leaves_the_flags_of_what_stands(data: Path) -> None:
    store = FolderSnapshots(data.parent.parent / "state")
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    tar = store.folder(APP) / "volumes" / "data.tar"
    tar.write_bytes(tar.read_bytes().replace(b"plain\0", b"pl\0in\0"))
    tar.write_bytes(tar.read_bytes().replace(b"deep", b"peed"))
    chattr("+i", data)
    with pytest.raises(Exception, match="not what the manifest says"):
        store.restore(APP, [volume(data)], "op")
    assert flags(data) == "immutable"
    with pytest.raises(ActError, match="no snapshot"):
        FolderSnapshots(data.parent.parent / "none").restore(APP, [volume(data)], "op")


def test_without_the_right_to_change_flags_nothing_waits_either(data: Path) -> None:
    """As under a unit of before, or where somebody took the capability away."""
    if shutil.which("setpriv") is None:
        missing("no setpriv (apt-get install util-linux)")
    store, before = FolderSnapshots(data.parent.parent / "state"), entries(data)
    store.root.mkdir()
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    script = f"""
from pathlib import Path
from reconciler.node.snapshots.store import FolderSnapshots
from tests.node.test_snapshots import APP, volume
store, data = FolderSnapshots(Path({str(store.root)!r})), Path({str(data)!r})
print(*store.restore(APP, [volume(data)], "second"))
print(*(left.why for left in store.forget_aside(APP, [volume(data)])))
"""
    chattr("+i", data / "plain")
    store.restore(APP, [volume(data)], "first")
    chattr("+a", data / "folder")
    drop = ["setpriv", "--bounding-set=-linux_immutable", "--inh-caps=-linux_immutable"]
    ran = subprocess.run([*drop, sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert entries(data) == before
    assert "folder/below: Operation not permitted" in ran.stdout and "plain: Operation not permitted" in ran.stdout
    assert len(list(data.parent.glob(".ci-warm-*"))) == 2
    assert store.forget_aside(APP, [volume(data)]) == ()
