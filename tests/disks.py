"""Small real disks and few descriptors for tests of snapshots."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing

Disk = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path, as_root: None) -> Iterator[Disk]:
    """Makes an ext4 file system of the size that is asked for ("24m"), which keeps inode flags and gets full."""
    if shutil.which("mkfs.ext4") is None or shutil.which("chattr") is None:
        missing("no mkfs.ext4 and chattr (apt-get install e2fsprogs)")
    mounts: list[Path] = []

    def make(size: str) -> Path:
        image, mount = tmp_path / f"disk{len(mounts)}.img", tmp_path / f"disk{len(mounts)}"
        mount.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image, size], check=True, capture_output=True)
        done = subprocess.run(["mount", "-o", "loop", image, mount], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            missing(f"no loop mounts here: {done.stderr.strip()}")
        mounts.append(mount)
        return mount

    yield make
    for mount in mounts:
        subprocess.run(["umount", mount], check=True)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Leave room for 100 more open files than there are."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def fill(folder: Path, name: str = "filled", leave: int = 0) -> None:
    """Write until no byte more fits, then free `leave` bytes."""
    fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT)
    size = 0
    try:
        for block in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    size += os.write(fd, bytes(block))
        os.ftruncate(fd, max(0, size - leave))
        os.fsync(fd)
    finally:
        os.close(fd)
