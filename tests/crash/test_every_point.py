"""Dies at every effect point of every kind of change, once and twice, and demands convergence with nothing lost.

The world outlives the crash: a fake engine, but real records, snapshots, restores and folders.
"""

import os
from pathlib import Path

import pytest

from tests.crash.scenarios import ALL, GOOD_ENDS, KEEPS_FAILED_DATA
from tests.fakes.world import Crash, Host

_SPREAD = 11  # of the pairs, every eleventh; the long lane takes more, of every scenario
_LONG_SPREAD = int(os.environ.get("CI_WARM_PAIRS", "5"))  # 1 = every pair there is, which takes half an hour


def points(name: str, root: Path) -> list[str]:
    """The effect points of an undisturbed run."""
    root.mkdir()
    host = ALL[name](root)
    host.reconcile()
    return list(host.points)


def check(name: str, host: Host, at: str) -> None:
    """Everything that must hold once it is quiet again."""
    assert host.engine.violations == [], at
    assert host.ports().store.journal(host.specs[0].app) is None, at
    assert (host.known(), host.engine.schema()) in GOOD_ENDS[name], (at, host.known(), host.engine.schema())
    ids = [line.op_id for line in host.history()]
    assert len(ids) == len(set(ids)), at
    assert host.doctor() == [], at
    leftovers = [p.name for p in host.root.rglob(".ci-warm-staged*")] + [p.name for p in host.root.rglob("*.tmp")]
    assert leftovers == [], at
    aside = [(p / "schema").read_text() for p in host.root.rglob(".ci-warm-aside*")]
    if name == "failing_rollback":  # its prior may fail before the candidate ever wrote
        assert aside in ([], ["1"], ["2"]), at
    else:
        assert aside == (["2"] if name in KEEPS_FAILED_DATA else []), at


@pytest.mark.parametrize("name", ALL)
def test_a_crash_at_any_point_ends_well(name: str, tmp_path: Path) -> None:
    plain = points(name, tmp_path / "plain")
    assert len(plain) >= 8, "a change has more effect points than that"
    for number, point in enumerate(plain, 1):
        root = tmp_path / str(number)
        root.mkdir()
        host = ALL[name](root)
        with pytest.raises(Crash):
            host.reconcile(crash_at=number)
        host.until_quiet()
        check(name, host, f"crashed at {number}: {point}")


def _pairs(name: str, tmp_path: Path, every: int) -> None:
    plain = points(name, tmp_path / "plain")
    count = 0
    for first in range(1, len(plain) + 1):
        root = tmp_path / f"{first}-count"
        root.mkdir()
        host = ALL[name](root)
        with pytest.raises(Crash):
            host.reconcile(crash_at=first)
        host.reconcile()
        for second in range(1, len(host.points) + 1):
            count += 1
            if count % every:
                continue
            root = tmp_path / f"{first}-{second}"
            root.mkdir()
            twice = ALL[name](root)
            for at in (first, second):
                with pytest.raises(Crash):
                    twice.reconcile(crash_at=at)
            twice.until_quiet()
            check(name, twice, f"crashed at {first} ({plain[first - 1]}), then at {second}")
    assert count > len(plain)


@pytest.mark.parametrize("name", ["good_upgrade", "failing_upgrade", "failing_rollback", "bake_rollback"])
def test_a_second_crash_while_recovering_ends_well(name: str, tmp_path: Path) -> None:
    _pairs(name, tmp_path, _SPREAD)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALL)
def test_pairs_of_crashes_in_every_scenario_end_well(name: str, tmp_path: Path) -> None:
    _pairs(name, tmp_path, _LONG_SPREAD)


def test_a_crash_loop_asks_a_human_and_retry_goes_on(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    host = ALL["failing_upgrade"](tmp_path / "host")
    names = points("failing_upgrade", tmp_path / "plain")
    with pytest.raises(Crash):
        host.reconcile(crash_at=names.index("restore:exchanged") + 1)
    for _ in range(5):
        with pytest.raises(Crash):
            host.reconcile(crash_at=2)
    assert host.result().startswith("stalled:")
    host.engine.changes.clear()
    assert host.result().startswith("stalled:")
    assert host.engine.changes == []
    assert [alert.reason for alert in host.alerts()] == ["stalled"]
    store, app = host.ports().store, host.specs[0].app
    journal = store.journal(app)
    assert journal is not None
    store.put_journal(journal.model_copy(update={"stalled": False, "resumes": 0}))
    host.until_quiet()
    check("failing_upgrade", host, "after retry")
