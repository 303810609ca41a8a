"""Room for our own records on a real disk that is full to the last byte."""

import os
from pathlib import Path

import pytest

from reconciler.state import files, reserve
from reconciler.state.reserve import PIECE_BYTES, PIECES, Reserve
from tests.disks import Disk, disk, fill

__all__ = ["disk"]


def free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


@pytest.fixture
def root(disk: Disk) -> Path:
    made = disk("24m") / "state"
    (made / "notes").mkdir(parents=True)
    (made / "notes" / "journal.json").write_text("before")
    assert reserve.fill(made) == Reserve()
    return made


def test_a_piece_takes_the_records_place_and_frees_nothing_on_the_way(root: Path) -> None:
    fill(root)
    assert free(root) == 0
    assert reserve.claim(root / "notes", root / "notes" / ".temp")
    assert free(root) == 0
    assert (root / "notes" / ".temp").stat().st_blocks * 512 >= PIECE_BYTES


def test_records_are_written_until_the_reserve_is_used_up_and_none_is_ever_torn(root: Path) -> None:
    record = root / "notes" / "journal.json"
    for number in range(PIECES):
        fill(root, f"filled-{number}")
        files.write_atomic(record, b"%d" % number * 3000)
    fill(root, "last")
    with pytest.raises(OSError, match=r"No space left.*journal\.json"):
        files.write_atomic(record, b"one too many" * 3000)
    assert record.read_bytes() == b"%d" % (PIECES - 1) * 3000
    assert [path.name for path in record.parent.iterdir()] == ["journal.json"]


def test_it_is_made_whole_again_as_soon_as_there_is_room_beside_it(root: Path) -> None:
    fill(root)
    files.write_atomic(root / "notes" / "journal.json", b"x" * 3000)
    assert reserve.fill(root) == Reserve(missing=PIECE_BYTES, free=free(root))
    (root / "filled").unlink()
    assert reserve.fill(root) == Reserve()
    assert len(list((root / ".reserve").iterdir())) == PIECES


def test_what_is_no_records_business_takes_nothing_of_it(root: Path) -> None:
    """As the marks beside volumes."""
    elsewhere = root.parent / "volume"
    elsewhere.mkdir()
    fill(root)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomic(elsewhere / "mark", b"x" * 5000)
    assert len(list((root / ".reserve").iterdir())) == PIECES
