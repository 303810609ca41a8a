"""A copy that was taken of a running app becomes the snapshot of what is there once it is down, and of just that."""

import mmap
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.errors import ActError
from reconciler.node.snapshots import ahead, blocks, catch_up, members, seals, slack, tree, unpack
from reconciler.node.snapshots.ahead import Copy
from reconciler.node.snapshots.catch_up import CaughtUp
from reconciler.state import files, inode_flags

WRITER_S = 0.05
"""Longer than a write of these tests takes, which is what the quiet minute is for."""
MIB = 1 << 20


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago count as long settled."""
    monkeypatch.setattr(ahead, "QUIET_NS", int(WRITER_S * 1e9))


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """On a disk: in memory, stores through a mapping leave no trace."""
    place = tmp_path if ahead.tells_of_changes(tmp_path) else Path("/var/tmp") / f"ci-warm-ahead-{os.getpid()}"
    if place != tmp_path and not ahead.tells_of_changes(place.parent):
        place = request.getfixturevalue("disk")("512m") / "home"
    place.mkdir(exist_ok=True)
    (place / "data").mkdir()
    yield place
    if place != tmp_path:
        shutil.rmtree(place)  # beside the tests' folder, or on a disk that is unmounted next


def settle(root: Path) -> None:
    """Wait until nothing in there was changed within the quiet time."""
    newest = max(place.found.st_ctime_ns for place in tree.walk_places(root))
    while time.time_ns() < newest + 2 * ahead.QUIET_NS:
        time.sleep(0.01)


def copy(home: Path, *, at_each: Callable[[], None] = lambda: None) -> Copy:
    settle(home / "data")
    return ahead.copy(home / "data", home / "v.tar", at_each)


def finish(copied: Copy, home: Path) -> CaughtUp:
    """Catch up, and ask everybody who can tell whether the snapshot is that of the tree."""
    found = catch_up.catch_up(copied, home / "v.jsonl")
    sealed, wrong = seals.read_back(home / "v.tar", home / "v.jsonl", like=blocks.MARK)
    assert (sealed, wrong) == (found.sealed, [])
    assert list(unpack.compare(home / "data", seals.read_index(home / "v.jsonl", None))) == []
    out, gnu = home / "out", home / "gnu"
    for place in (out, gnu):
        place.mkdir()
    unpack.unpack(home / "v.tar", seals.read_index(home / "v.jsonl", None), out)
    assert list(unpack.compare(out, seals.read_index(home / "v.jsonl", None))) == []
    # What was appended may lie in folders whose members came long before.
    flags = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-p", "--delay-directory-restore"]
    argv: list[str | Path] = ["tar", *flags, "--warning=no-timestamp", "-xf", home / "v.tar", "-C", gnu]
    told = subprocess.run(argv, capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, ""), "GNU tar unpacks it without us"
    assert list(unpack.compare(gnu, seals.read_index(home / "v.jsonl", None))) == []
    assert found.written.archive_bytes == (home / "v.tar").stat().st_size
    assert sorted(path.name for path in home.iterdir()) == ["data", "gnu", "out", "v.jsonl", "v.tar"]
    return found


def written_bytes(call: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """How much of content went into an archive meanwhile."""
    total = 0
    real_write, real_copy = os.pwrite, members.copy_range

    def pwrite(fd: int, data: bytes, at: int) -> int:
        nonlocal total
        total += len(data) if len(data) > blocks.LENGTH else 0
        return real_write(fd, data, at)

    def copy_range(source: int, target: int, at: int, to: int, length: int, *rest: object) -> None:
        nonlocal total
        total += length
        real_copy(source, target, at, to, length)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        patched.setattr(members, "copy_range", copy_range)
        call()
    return total


def test_what_did_not_change_is_not_written_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = home / "data"
    (data / "large").write_bytes(os.urandom(8 * MIB))
    (data / "small").write_bytes(b"s" * 5000)
    copied = copy(home)
    assert written_bytes(lambda: finish(copied, home), monkeypatch) <= 2 * blocks.SIZE


def test_of_a_large_file_only_blocks_that_changed_are_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = home / "data" / "large"
    large.write_bytes(os.urandom(16 * MIB))
    copied = copy(home)
    with large.open("r+b") as stream:
        for at in (0, 5 * MIB + 17, 16 * MIB - 10):
            stream.seek(at)
            stream.write(b"changed")
    assert written_bytes(lambda: finish(copied, home), monkeypatch) <= 5 * blocks.SIZE


def test_a_file_that_grew_a_little_stays_where_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = home / "data" / "log"
    log.write_bytes(os.urandom(8 * MIB))
    copied = copy(home)
    with log.open("ab") as stream:
        stream.write(os.urandom(300_000))
    assert written_bytes(lambda: finish(copied, home), monkeypatch) < MIB


def test_a_file_that_grew_by_what_stood_behind_it_is_known(home: Path) -> None:
    """A body is filled up with zeros: its last block is another one, though not one byte had to be written."""
    log = home / "data" / "log"
    log.write_bytes(os.urandom(2 * MIB) + b"x" * 1000)
    copied = copy(home)
    with log.open("ab") as stream:
        stream.write(bytes(20))
    finish(copied, home)


def test_a_file_that_moves_its_holes_is_known(home: Path) -> None:
    """As many ranges as before, of the same lengths: where it had data there is none now."""
    sparse, other = home / "data" / "sparse", home / "data" / "other"
    for path, at in ((sparse, MIB), (other, 2 * MIB)):
        with path.open("wb") as stream:
            stream.truncate(8 * MIB)
            stream.seek(at)
            stream.write(os.urandom(MIB // 2))
    copied = copy(home)
    other.unlink()
    with sparse.open("r+b") as stream:
        stream.truncate(MIB)
        stream.truncate(8 * MIB)
        stream.seek(3 * MIB)
        stream.write(os.urandom(MIB // 2))
    finish(copied, home)


@pytest.mark.parametrize("size", [100, MIB])
def test_a_file_that_changes_in_the_stop_window_fails_the_snapshot(
    home: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = home / "data" / "file"
    path.write_bytes(b"x" * size)
    copied = copy(home)
    path.write_bytes(b"y" * size)
    real = inode_flags.read

    def meddle(fd: int) -> int:
        path.write_bytes(b"z" * size)
        os.utime(path, (1, 1))
        return real(fd)

    monkeypatch.setattr(inode_flags, "read", meddle)
    with pytest.raises(ActError, match="still writes"):
        catch_up.catch_up(copied, home / "v.jsonl")


def test_what_is_gone_at_the_end_of_the_walk_is_gone(home: Path) -> None:
    for name in "ab":
        (home / "data" / name).write_bytes(b"x" * 2000)
    copied = copy(home)
    (home / "data" / "b").unlink()
    finish(copied, home)


def test_a_large_file_whose_attributes_need_more_room_is_moved(home: Path) -> None:
    large = home / "data" / "large"
    large.write_bytes(os.urandom(MIB))
    copied = copy(home)
    os.setxattr(large, "user.note", os.urandom(700))
    finish(copied, home)


@pytest.mark.parametrize("size", [500, 1000, 1])
def test_a_small_file_that_shrank_leaves_no_half_comment(home: Path, size: int) -> None:
    """512 bytes are too few for a comment, and what follows is another file's."""
    for name in "abc":
        (home / "data" / name).write_bytes(b"x" * 2000)
    copied = copy(home)
    (home / "data" / "b").write_bytes(b"y" * size)
    (home / "data" / "a").write_bytes(b"z" * 1400)
    finish(copied, home)


@pytest.mark.parametrize("length", [1024, 1536, MIB - 512, MIB, MIB + 512, MIB + 1024, 3 * MIB + 512])
def test_a_comment_of_any_length_is_stepped_over(home: Path, length: int) -> None:
    (home / "t.tar").write_bytes(os.urandom(length) + bytes(1024))
    fd = os.open(home / "t.tar", os.O_RDWR)
    slack.fill(fd, 0, length)
    os.close(fd)
    assert subprocess.run(["tar", "-tf", home / "t.tar"], capture_output=True, text=True, check=True).stdout == ""


def test_a_file_of_another_folder_in_its_place_is_another_file(home: Path) -> None:
    """Renaming a folder leaves the change times of what is in it, and clocks tick slowly: files may share one."""
    one, other = home / "data" / "one", home / "data" / "other"
    for folder in (one, other):
        folder.mkdir()
    names = [f"{number}" for number in range(50)]
    for name in names:
        opened = [os.open(folder / name, os.O_CREAT | os.O_WRONLY, 0o600) for folder in (one, other)]
        for fd, content in zip(opened, (b"one  ", b"other"), strict=True):
            os.write(fd, content)
            os.close(fd)
    assert any((one / name).stat().st_ctime_ns == (other / name).stat().st_ctime_ns for name in names)
    copied = copy(home)
    files.exchange(one, other)
    finish(copied, home)


def test_a_file_that_changes_while_it_is_copied_is_copied_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database always does; only what changed must be written once it is down."""
    large = home / "data" / "large"
    large.write_bytes(os.urandom(8 * MIB))
    real = members.copy_range

    def meddle(*args: Any) -> None:
        real(*args)
        with large.open("r+b") as stream:
            stream.write(b"changed")

    with monkeypatch.context() as patched:
        patched.setattr(members, "copy_range", meddle)
        copied = copy(home)
    assert written_bytes(lambda: finish(copied, home), monkeypatch) <= 3 * blocks.SIZE


def test_what_was_not_copied_as_it_was_read_is_compared_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = home / "data" / "large"
    large.write_bytes(os.urandom(8 * MIB))
    real = members.copy_range

    def damage(source: int, target: int, at: int, to: int, *rest: Any) -> None:
        real(source, target, at, to, *rest)
        os.pwrite(target, b"not what was read", to + 5000)

    with monkeypatch.context() as patched:
        patched.setattr(members, "copy_range", damage)
        copied = copy(home)
    finish(copied, home)


def test_a_write_under_way_when_the_copy_begins_is_seen(home: Path) -> None:
    """It has its change time from its beginning, and none from its end: so has a second store into a mapped page."""
    path = home / "data" / "mapped"
    path.write_bytes(bytes(MIB))
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), MIB) as mapped:
        has_begun = False

        def write() -> None:
            nonlocal has_begun
            if not has_begun:
                mapped[5] = 1
            has_begun = True

        copied = copy(home, at_each=write)
        mapped[6] = 2  # leaves no trace, unless a neighbour had the disk synced at this moment
        finish(copied, home)


def test_a_store_through_a_mapping_that_leaves_no_trace_is_seen(home: Path) -> None:
    """The page was dirty before; without a sync, neither time of the file would move."""
    path = home / "data" / "mapped"
    path.write_bytes(bytes(MIB))
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), MIB) as mapped:
        mapped[5] = 1
        copied = copy(home)
        assert copied.quiet_before_ns > path.stat().st_ctime_ns, "it counts as settled"
        mapped[6] = 2
        finish(copied, home)


def test_a_copy_is_worthless_once_the_clock_was_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = copy(home)
    assert copied.is_of_this_clock()
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 90 * 10**9)
    assert not copied.is_of_this_clock()


def test_file_systems_without_reliable_change_times_are_known() -> None:
    if Path("/dev/shm").is_dir():
        assert not ahead.tells_of_changes(Path("/dev/shm"))
    assert not ahead.tells_of_changes(Path("/proc"))
    assert not ahead.tells_of_changes(Path("/nowhere"))


def test_where_change_times_do_not_tell_everything_is_compared(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in memory, where no store through a mapping ever moves one, synced or not."""
    monkeypatch.setattr(ahead, "tells_of_changes", lambda _path: False)
    path = home / "data" / "mapped"
    path.write_bytes(bytes(MIB))
    settle(home / "data")
    copied = copy(home)
    at, found = 5, path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"x")
    real = os.stat

    def as_before(name: Any, **more: Any) -> os.stat_result:
        return found if name == "mapped" else real(name, **more)

    monkeypatch.setattr(os, "stat", as_before)
    monkeypatch.setattr(members, "require_unchanged", lambda _fd, _visit: None)
    catch_up.catch_up(copied, home / "v.jsonl")
    monkeypatch.undo()
    [entry] = [one for one in seals.read_index(home / "v.jsonl", None) if one.path == "mapped"]
    assert (home / "v.tar").read_bytes()[entry.offset + at : entry.offset + at + 1] == b"x"


def test_a_pipe_in_the_place_of_a_file_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at an entry and its opening it may become anything."""
    target = home / "data" / "file"
    target.write_bytes(b"x")
    real = tree.read_entry

    def meddle(place: tree.Place) -> tree.Entry:
        found = real(place)
        if place.path == "file":
            target.unlink()
            os.mkfifo(target)
        return found

    monkeypatch.setattr(tree, "read_entry", meddle)
    copied = copy(home)
    monkeypatch.setattr(tree, "read_entry", real)
    finish(copied, home)


class Meddler:
    """Does to a tree what an app may do to it, at random."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        names = [name for name in dir(self) if name.startswith("step_")]
        self.steps: list[Callable[[], None]] = [getattr(self, name) for name in names]

    def step(self) -> None:
        try:
            self.random.choice(self.steps)()
        except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, OSError):
            return  # what it chose is not there, or of another kind

    def any(self, kind: Callable[[Path], bool] = lambda _path: True) -> Path:
        found = [path for path in sorted(self.root.rglob("*")) if kind(path)]
        return self.random.choice(found) if found else self.root

    def file(self) -> Path:
        return self.any(lambda path: path.is_file() and not path.is_symlink())

    def place(self) -> Path:
        folder = self.any(lambda path: path.is_dir() and not path.is_symlink()) if self.random.random() < 0.7 else None
        return (folder or self.root) / (self.random.choice("abcdefgh") * self.random.choice([1, 1, 1, 120]))

    def writable(self) -> Path:
        """Not a pipe, on which a writer would wait."""
        path = self.place()
        return path if (path.is_file() and not path.is_symlink()) or not os.path.lexists(path) else self.file()

    def size(self) -> int:
        return self.random.choice([0, 1, 511, 512, 513, 5000, 65_535, 65_536, 65_537, 200_000, MIB + 5, 3 * MIB])

    def step_write(self) -> None:
        self.writable().write_bytes(self.random.randbytes(self.size()))

    def step_patch(self) -> None:
        path = self.file()
        with path.open("r+b") as stream:
            stream.seek(self.random.randrange(path.stat().st_size + 1))
            stream.write(self.random.randbytes(self.random.choice([1, 100, 70_000])))

    def step_append(self) -> None:
        with self.file().open("ab") as stream:
            count = self.random.choice([1, 600, 66_000])
            stream.write(bytes(count) if self.random.random() < 0.5 else self.random.randbytes(count))

    def step_truncate(self) -> None:
        path = self.file()
        os.truncate(path, self.random.randrange(path.stat().st_size + 1))

    def step_sparse(self) -> None:
        with self.writable().open("r+b" if self.random.random() < 0.5 else "wb") as stream:
            stream.truncate(self.random.choice([MIB, 5 * MIB]))
            for _ in range(self.random.randrange(3)):
                stream.seek(self.random.randrange(64) * 16_384)
                stream.write(self.random.randbytes(self.random.choice([10, 5000, 40_000])))

    def step_folder(self) -> None:
        self.place().mkdir()

    def step_link(self) -> None:
        self.place().symlink_to(self.random.choice(["nowhere", "a", "x" * 130]))

    def step_hard_link(self) -> None:
        os.link(self.file(), self.place())

    def step_pipe(self) -> None:
        os.mkfifo(self.place().with_name(self.random.choice("pq")))  # never where another thread opens to write

    def step_socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.fspath(self.root / self.random.choice("st")))

    def step_remove(self) -> None:
        path = self.any()
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path) if path != self.root else None
        else:
            path.unlink()

    def step_rename(self) -> None:
        self.any(lambda path: not path.is_fifo()).rename(self.place())

    def step_attributes(self) -> None:
        path = self.file()
        path.chmod(self.random.choice([0o600, 0o644, 0o751]))
        os.setxattr(path, "user.note", self.random.randbytes(self.random.choice([1, 30])))

    def step_times(self) -> None:
        at = self.random.choice([1, 10**9, 2 * 10**18, -5 * 10**9])
        os.utime(self.any(), ns=(at, at), follow_symlinks=False)


@pytest.mark.parametrize("seed", range(25))
def test_whatever_an_app_does_meanwhile_the_snapshot_is_of_the_tree_it_left(home: Path, seed: int) -> None:
    meddler = Meddler(home / "data", seed)
    for _ in range(60):
        meddler.step()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            meddler.step()

    writer = threading.Thread(target=write)
    held = Meddler(home / "data", seed + 1000)
    settle(home / "data")
    # Some seeds see a writer that never rests, some one that comes between two entries, some one that comes after.
    if seed % 3 == 0:
        writer.start()
    copied = ahead.copy(home / "data", home / "v.tar", held.step if seed % 3 == 1 else lambda: None)
    for _ in range(meddler.random.choice([0, 3, 30])):
        held.step()
    if seed % 3 == 0:
        stop.set()
        writer.join()
    finish(copied, home)
