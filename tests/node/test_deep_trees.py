"""Folders nested as deep as an app may nest them: no descriptor runs out, and no path is too long."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model.errors import ActError
from reconciler.node.snapshots import tree
from reconciler.node.snapshots.store import FolderSnapshots
from tests.node.test_snapshots import APP, entries, manifest, nothing, volume

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
LEVELS = 1_600


def descend(top: Path, levels: int, name: str, visit: Callable[[int, int], None]) -> None:
    """Make nested folders; `visit` is given each one's descriptor and level."""
    fd = os.open(top, _FOLDER)
    for level in range(levels):
        visit(fd, level)
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, _FOLDER, dir_fd=fd)
        os.close(fd)
        fd = below
    visit(fd, levels)
    os.close(fd)


def plant(fd: int, level: int) -> None:
    """A file in every hundredth folder, a hard link of it beside it, and something of each kind in the deepest."""
    if level % 100 and level != LEVELS:
        return
    with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=fd), "wb") as out:
        out.write(b"level %d" % level)
    os.link("file", "twin", src_dir_fd=fd, dst_dir_fd=fd)
    os.symlink("/etc/passwd", "link", dir_fd=fd)
    os.mkfifo("fifo", dir_fd=fd)


@pytest.fixture(params=["d", "n" * 40], ids=["short names", "paths of 64 KiB"])
def deep(request: pytest.FixtureRequest, tmp_path: Path, few_descriptors: None) -> Iterator[Path]:
    """A volume that is deeper than descriptors and paths reach."""
    data = tmp_path / "vol" / "_data"
    data.mkdir(parents=True)
    descend(data, LEVELS, request.param, plant)
    yield data
    os.system(f"rm -rf '{data.parent}'")  # pytest cannot remove it


def test_the_size_of_any_tree_can_be_measured(deep: Path, tmp_path: Path) -> None:
    room = FolderSnapshots(tmp_path).room(APP, [volume(deep)])
    # A folder takes a block on most file systems, and none on others.
    folder = deep.stat().st_blocks * 512
    assert room.used >= max(1, LEVELS * folder)


def test_a_file_with_two_names_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "one").write_bytes(b"x" * (1 << 20))
    os.link(tmp_path / "v" / "one", tmp_path / "v" / "two")
    assert 1 << 20 <= tree.used_bytes(tmp_path / "v") < 2 << 20


def test_a_tree_of_any_depth_comes_back_whole(deep: Path, tmp_path: Path) -> None:
    store, before = FolderSnapshots(tmp_path), entries(deep)
    store.create(manifest(), [volume(deep)], before_exchange=nothing)
    assert store.verify(APP) == ()
    assert store.drill(APP) == ()
    assert sorted(path.name for path in (tmp_path / APP).iterdir()) == ["snapshot"]
    store.restore(APP, [volume(deep)], "op")
    assert entries(deep) == before
    store.forget_aside(APP, [volume(deep)])
    assert [path.name for path in deep.parent.iterdir()] == ["_data"]


def test_what_is_unchanged_in_a_deep_tree_is_told_and_kept(deep: Path, tmp_path: Path) -> None:
    store = FolderSnapshots(tmp_path)
    store.create(manifest(), [volume(deep)], before_exchange=nothing)
    store.remember(APP, [volume(deep)])
    assert store.is_untouched(APP, [volume(deep)])
    kept = (deep / "file").stat().st_ino
    (deep / "fresh").write_text("of a test")
    assert not store.is_untouched(APP, [volume(deep)])
    store.restore(APP, [volume(deep)], "op")
    assert (deep / "file").stat().st_ino == kept
    assert not (deep / "fresh").exists()


def test_a_folder_that_is_moved_while_it_is_walked_is_noticed(tmp_path: Path) -> None:
    """The way back up goes by `..`, which leads elsewhere for who was moved."""
    data = tmp_path / "vol"
    (data / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    descend(data / "a", 200, "d", lambda _fd, _level: None)
    with pytest.raises(ActError, match="a process still writes"):
        for visit in tree.walk(data):
            if visit.entry.path.count("/") == 190:
                (data / "a" / "d").rename(tmp_path / "elsewhere" / "d")


def test_nothing_of_this_leaks_descriptors(deep: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    walk = tree.walk(deep)
    for _ in range(900):
        next(walk)
    walk.close()
    store = FolderSnapshots(tmp_path)
    store.create(manifest(), [volume(deep)], before_exchange=nothing)
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        list(tree.walk(tmp_path / "nowhere"))
    assert len(os.listdir("/proc/self/fd")) == before
