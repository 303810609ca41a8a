"""What snapshots tell while they are taken, read back, tried and put back: it grows, and ends at what there was."""

import time
from pathlib import Path

import pytest

from reconciler.model.errors import ActError
from reconciler.model.moved import Amount, Moved
from reconciler.node.snapshots import blocks, members
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.ports import progress
from tests.node.test_snapshots import APP, manifest, nothing, volume

MIB = 1 << 20


class Heard:
    """What was told, by what was done; the meter's patience is zero, so that all of it is told."""

    def __init__(self) -> None:
        self.amounts: list[Moved] = []

    def __call__(self, amount: Amount) -> None:
        assert isinstance(amount, Moved)
        assert amount.app == APP
        self.amounts.append(amount)

    def phases(self) -> list[str]:
        return list(dict.fromkeys(amount.doing for amount in self.amounts))

    def of(self, doing: str) -> list[Moved]:
        return [amount for amount in self.amounts if amount.doing == doing]

    def check(self, doing: str) -> list[Moved]:
        """They grow, and the last one is the end."""
        found = self.of(doing)
        counts = [amount.done for amount in found]
        assert counts == sorted(counts), doing
        assert found[-1].over and found[-1].done == found[-1].of, doing
        assert not any(amount.over for amount in found[:-1]), doing
        return found


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    monkeypatch.setattr(members, "COPY", 4 * MIB)  # 64 MiB at once would ask for files of gigabytes here
    return Heard()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    found = tmp_path / "vol" / "_data"
    found.mkdir(parents=True)
    return found


def fill(data: Path) -> None:
    """Small files, one large one, and one that is mostly holes."""
    for number in range(300):
        (data / f"small{number:03}").write_bytes(b"s" * 2000)
    (data / "large").write_bytes(bytes(range(256)) * (24 * MIB // 256))
    with (data / "sparse").open("wb") as sparse:
        for start in (0, 64 * MIB):
            sparse.seek(start)
            sparse.write(b"d" * 2 * MIB)


def test_each_kind_of_work_tells_amounts_that_grow_and_end_at_the_total(
    data: Path, tmp_path: Path, heard: Heard
) -> None:
    fill(data)
    store = FolderSnapshots(tmp_path, tell=heard)
    used = store.room(APP, [volume(data)]).used
    made = store.create(manifest(), [volume(data)], before_exchange=nothing)
    archived = made.volumes[0].archive_bytes
    assert heard.check("snapshot: copying")[0].of == used, "what was measured is not walked again"
    assert heard.check("snapshot: reading back")[0].of == archived
    heard.amounts.clear()
    assert store.verify(APP) == ()
    assert heard.phases() == ["verify"] and heard.check("verify")[-1].of == archived
    heard.amounts.clear()
    assert store.drill(APP) == ()
    assert heard.phases() == ["drill: unpacking", "drill: comparing"]
    heard.amounts.clear()
    store.restore(APP, [volume(data)], "op")
    assert heard.phases() == ["restore: unpacking", "restore: comparing"]
    for doing in heard.phases():
        assert heard.check(doing)[0].of == archived


def test_it_moves_inside_one_large_file_and_along_many_small_ones(data: Path, tmp_path: Path, heard: Heard) -> None:
    fill(data)
    store = FolderSnapshots(tmp_path, tell=heard)
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    store.drill(APP)
    for doing, inside in (
        ("snapshot: copying", 3),
        ("snapshot: reading back", 15),
        ("drill: unpacking", 3),
        ("drill: comparing", 15),
    ):
        counts = {amount.done for amount in heard.check(doing)}
        assert len([count for count in counts if 2 * MIB < count < 22 * MIB]) >= inside, (doing, counts)


def test_several_volumes_are_told_by_name(tmp_path: Path, heard: Heard) -> None:
    volumes = []
    for name in ("one", "two"):
        path = tmp_path / name / "_data"
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * MIB)
        volumes.append(volume(path, name))
    FolderSnapshots(tmp_path, tell=heard).create(manifest(), volumes, before_exchange=nothing)
    assert heard.phases() == [
        f"snapshot: {what} {name}" for name in ("one", "two") for what in ("copying", "reading back")
    ]


def test_without_a_measurement_there_is_no_total(data: Path, tmp_path: Path, heard: Heard) -> None:
    fill(data)
    FolderSnapshots(tmp_path, tell=heard).create(manifest(), [volume(data)], before_exchange=nothing)
    assert heard.check("snapshot: copying")[0].of is None


def test_a_snapshot_that_fails_is_over_and_was_not_done(
    data: Path, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "file").write_bytes(b"x" * MIB)
    store = FolderSnapshots(tmp_path, tell=heard)
    store.room(APP, [volume(data)])

    def gets_shorter(*_: object, **__: object) -> str:
        raise ActError("a file got shorter while it was read")

    monkeypatch.setattr(blocks, "digest", gets_shorter)
    with pytest.raises(ActError):
        store.create(manifest(), [volume(data)], before_exchange=nothing)
    last = heard.amounts[-1]
    assert last.over and last.of is not None and last.done < last.of


def test_a_damaged_snapshot_is_over_too(data: Path, tmp_path: Path, heard: Heard) -> None:
    fill(data)
    store = FolderSnapshots(tmp_path, tell=heard)
    made = store.create(manifest(), [volume(data)], before_exchange=nothing)
    tar = store.folder(APP) / made.volumes[0].archive
    with tar.open("r+b") as out:
        out.truncate(tar.stat().st_size // 2)
    assert store.verify(APP) != ()
    assert heard.of("verify")[-1].over


def test_many_small_files_are_told_about_seldom(data: Path, tmp_path: Path) -> None:
    for number in range(2000):
        (data / f"small{number:04}").write_bytes(b"s" * 100)
    heard = Heard()
    began = time.monotonic()
    FolderSnapshots(tmp_path, tell=heard).create(manifest(), [volume(data)], before_exchange=nothing)
    assert len(heard.amounts) <= 6 + 2 * (time.monotonic() - began)
