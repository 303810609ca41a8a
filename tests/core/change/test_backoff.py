"""How long host faults make us wait."""

from datetime import timedelta

import pytest

from reconciler.core.change import backoff
from reconciler.model.memory import HostFaults
from tests.builders import NOW


@pytest.mark.parametrize(
    ("count", "seconds"),
    [
        pytest.param(1, 30, id="the first"),
        pytest.param(2, 60, id="the second"),
        pytest.param(3, 120, id="the third"),
        pytest.param(7, 1920, id="the last below an hour"),
        pytest.param(8, 3600, id="an hour is the longest"),
        pytest.param(13, 3600, id="still an hour"),
        pytest.param(10**9, 3600, id="a number beyond all powers of two"),
    ],
)
def test_each_fault_in_a_row_doubles_the_wait_up_to_an_hour(count: int, seconds: float) -> None:
    faults = HostFaults(count=count, last_at=NOW, reason="no leader")
    assert backoff.next_attempt(faults) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("before", "count"),
    [
        pytest.param(None, 1, id="none before"),
        pytest.param(HostFaults(count=1, last_at=NOW - timedelta(days=3), reason="x"), 2, id="one, long ago"),
        pytest.param(HostFaults(count=7, last_at=NOW + timedelta(days=3), reason="x"), 8, id="the clock was set back"),
    ],
)
def test_a_fault_is_counted_and_the_wait_begins_anew(before: HostFaults | None, count: int) -> None:
    assert backoff.after_fault(before, "no leader", NOW) == HostFaults(count=count, last_at=NOW, reason="no leader")


def test_a_long_reason_is_cut() -> None:
    assert backoff.after_fault(None, "x" * 1000, NOW).reason == "x" * 300
