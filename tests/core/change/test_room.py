"""How much room data needs, and when giving something up can help: a row per situation."""

import pytest

from reconciler.core.change import room
from reconciler.core.change.room import Fit, Need
from reconciler.model.journal import Failure, Step
from reconciler.model.snapshot import ArchivedVolume

MIB = 1 << 20


def archived(*, archive_bytes: int, entries: int, data_bytes: int) -> ArchivedVolume:
    return ArchivedVolume(
        volume="data",
        driver="local",
        archive="volumes/data.tar",
        archive_bytes=archive_bytes,
        sha256="",
        index="volumes/data.entries.jsonl",
        index_sha256="",
        entries=entries,
        data_bytes=data_bytes,
        empty=False,
    )


@pytest.mark.parametrize(
    ("volume", "least", "likely"),
    [
        pytest.param(
            archived(archive_bytes=10 * MIB, entries=1, data_bytes=10 * MIB - 2048), 10, 10, id="one big file"
        ),
        pytest.param(archived(archive_bytes=4 * MIB, entries=2048, data_bytes=1000), 0, 8, id="many small files"),
        pytest.param(
            archived(archive_bytes=MIB, entries=1, data_bytes=1 << 40), 1, 1, id="an older manifest: holes count"
        ),
        pytest.param(archived(archive_bytes=2048, entries=1, data_bytes=0), 0, 0, id="an empty volume"),
    ],
)
def test_need_is_told_by_the_archive(volume: ArchivedVolume, least: int, likely: int) -> None:
    need = room.estimate_need([volume, volume])
    assert (round(need.least / MIB), round(need.likely / MIB)) == (2 * least, 2 * likely)


@pytest.mark.parametrize(
    ("free", "held", "fits", "loses"),
    [
        pytest.param(20, 9, True, False, id="room for both"),
        pytest.param(11, 0, True, False, id="just room for both"),
        pytest.param(10, 9, True, True, id="it might fit, so people are told"),
        pytest.param(0, 10, True, True, id="only in the place of what is there"),
        pytest.param(0, 9, False, False, id="not even then"),
        pytest.param(9, 0, False, False, id="nothing to give up"),
    ],
)
def test_whether_data_can_come_back(free: int, held: int, *, fits: bool, loses: bool) -> None:
    need = Need(least=10 * MIB, likely=11 * MIB)
    fit = room.judge_return(need, free * MIB, held * MIB)
    assert (not fit.problem, bool(fit.loss)) == (fits, loses)
    assert room.would_help(need, free * MIB, held * MIB) is fits
    for text in (fit.problem, fit.loss):
        assert not text or "11 MiB are needed" in text
    assert (fit == Fit()) is (fits and not loses)


@pytest.mark.parametrize(("size", "text"), [(0, "0.0"), (100_000, "0.1"), (9 * MIB, "9.0"), (1 << 40, "1048576")])
def test_sizes_read_well(size: int, text: str) -> None:
    assert room.as_mib(size) == text


@pytest.mark.parametrize(
    ("failure", "waits"),
    [
        pytest.param(None, False, id="nothing failed"),
        pytest.param(Failure(step=Step.BACK_RESTORE, reason="/v/_data: no room to restore: ..."), True, id="no room"),
        pytest.param(Failure(step=Step.BACK_RESTORE, reason="a container holds them"), False, id="another cause"),
    ],
)
def test_a_way_back_that_waits_for_room_is_no_crash_loop(failure: Failure | None, *, waits: bool) -> None:
    assert room.is_wanted(failure) is waits
