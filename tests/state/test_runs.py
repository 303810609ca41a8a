"""The folder of a run, whatever checks left in it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.state.runs import RunHandle, RunStore
from tests.builders import NOW
from tests.disks import few_descriptors

__all__ = ["few_descriptors"]


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[RunHandle]:
    runs = RunStore(tmp_path / "runs", os.getgid(), lambda: NOW)
    runs.prepare()
    opened = runs.open("note-0a0b0c", "a test")
    opened.checkout.mkdir()
    yield opened
    opened.close()


def nest(top: Path, levels: int = 1_500) -> None:
    """Folders deeper than recursion, descriptors and paths reach."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("deep", 0o700, dir_fd=fd)
        below = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd))
    os.close(fd)


@pytest.mark.usefixtures("as_root", "few_descriptors")
def test_artefacts_of_any_depth_are_handed_over_published_and_cleared(handle: RunHandle, tmp_path: Path) -> None:
    for top in (handle.artefacts, handle.checkout):
        nest(top)
    outside = tmp_path / "outside"
    outside.write_text("the host's own")
    outside.chmod(0o600)
    (handle.artefacts / "link").symlink_to(outside)
    handle.hand_over("nobody", "")
    handle.publish()
    found = subprocess.run(["find", handle.artefacts, "-printf", "%u %m %y\n"], capture_output=True, text=True).stdout
    assert set(found.splitlines()) == {"nobody 750 d", "nobody 640 f", "nobody 777 l"}
    assert outside.stat().st_mode & 0o777 == 0o600 and outside.owner() == "root"
    assert handle.clear() == ()
    assert not handle.checkout.exists()
    subprocess.run(["rm", "-rf", handle.artefacts], check=True)


@pytest.mark.usefixtures("as_root")
def test_what_cannot_be_cleared_is_named_and_the_rest_goes(handle: RunHandle) -> None:
    (handle.checkout / "mounted").mkdir()
    (handle.work / "state" / "file").write_text("x")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", handle.checkout / "mounted"], check=True)
    try:
        [left] = handle.clear()
        assert "checkout/mounted" in left and not handle.work.exists()
    finally:
        subprocess.run(["umount", handle.checkout / "mounted"], check=True)
    assert handle.clear() == ()
