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

import pytest

from reconciler.node.snapshots import ahead, blocks, catch_up, members, seals, tree, unpack
from reconciler.node.snapshots.ahead import Copy
from reconciler.node.snapshots.catch_up import CaughtUp

WRITER_S = 0.05
"""Longer than a write of these tests takes, which is what the quiet minute is for."""
MIB = 1 << 20


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago count as long settled."""
    monkeypatch.setattr(ahead, "QUIET_NS", int(WRITER_S * 1e9))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """On a disk: in memory, stores through a mapping leave no trace."""
    place = tmp_path if ahead.is_possible(tmp_path) else Path("/var/tmp") / f"ci-warm-ahead-{os.getpid()}"
    if not ahead.is_possible(place.parent):
        pytest.skip("no ext4, XFS or btrfs here")
    place.mkdir(exist_ok=True)
    (place / "data").mkdir()
    yield place
    if place != tmp_path:
        shutil.rmtree(place)


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


def test_a_file_that_grew_by_what_it_ended_with_is_known(home: Path) -> None:
    """Zeros after zeros: its last block is another, though not one byte of it had to be written."""
    log = home / "data" / "log"
    log.write_bytes(os.urandom(2 * MIB) + bytes(1000))
    copied = copy(home)
    with log.open("ab") as stream:
        stream.write(bytes(200))
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
        assert not ahead.is_possible(Path("/dev/shm"))
    assert not ahead.is_possible(Path("/proc"))
    assert not ahead.is_possible(Path("/nowhere"))


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
