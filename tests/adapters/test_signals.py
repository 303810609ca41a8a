"""Which tasks were sent a signal, by what the engine's events say; the real thing is in tests/real/test_verdicts.py."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.adapters.swarm.client import SwarmClient
from reconciler.adapters.swarm.signals import Signals
from reconciler.model.errors import ObserveError


class Told(SwarmClient):
    """An engine that answers with these events, all of `second` of the same minute; None: with none at all."""

    def __init__(self, *events: tuple[str, str], second: int = 2) -> None:
        super().__init__(None, 1)
        self.asked: list[tuple[float, float]] = []
        self.told: tuple[tuple[str, str], ...] | None = events
        self.at = datetime(2026, 11, 30, 10, 0, second, tzinfo=UTC).timestamp()

    def events(self, *, since: float, until: float, filters: dict[str, list[str]]) -> Iterator[Any]:
        self.asked.append((since, until))
        if self.told is None:
            raise ObserveError("events: gone")
        nano = int(self.at * 1e9)
        yield from ({"Action": what, "Actor": {"ID": container}, "timeNano": nano} for container, what in self.told)


def task(name: str, state: str = "complete", node: str = "here", second: int = 5) -> dict[str, Any]:
    status = {
        "State": state,
        "Timestamp": f"2026-11-30T10:00:{second:02}.5Z",
        "ContainerStatus": {"ContainerID": f"c-{name}"},
    }
    return {"ID": name, "NodeID": node, "Status": status, "Spec": {"ContainerSpec": {"StopGracePeriod": 10 * 10**9}}}


def test_a_task_whose_container_was_sent_a_signal_is_told_from_one_that_ended_by_itself() -> None:
    engine = Told(("c-stopped", "kill"))
    found = Signals(engine).find([task("stopped"), task("ended"), task("killed-there", node="there")], "here")
    assert found == {"stopped"}


def test_what_swarm_stops_because_it_is_unhealthy_was_sent_no_signal_from_outside() -> None:
    """The app may end with 0 on that SIGTERM, too."""
    engine = Told(("c-a", "health_status: healthy"), ("c-a", "health_status: unhealthy"), ("c-a", "kill"))
    assert Signals(engine).find([task("a", "failed")], "here") == frozenset()
    mended = Told(("c-a", "health_status: unhealthy"), ("c-a", "health_status: healthy"), ("c-a", "kill"))
    assert Signals(mended).find([task("a", "failed")], "here") == {"a"}


@pytest.mark.parametrize(("ended", "found"), [(20, {"a"}), (30, set())])
def test_a_signal_of_long_before_ended_nothing(ended: int, found: set[str]) -> None:
    """`docker kill -s HUP` makes a server read its settings anew; what it does later it does by itself."""
    assert Signals(Told(("c-a", "kill"), second=10)).find([task("a", "failed", second=ended)], "here") == found


def test_nothing_is_asked_where_no_task_ended_and_nothing_twice() -> None:
    engine = Told(("c-a", "kill"))
    signals = Signals(engine)
    assert signals.find([task("r", "running"), task("s", "shutdown"), task("far", node="there")], "here") == frozenset()
    assert engine.asked == []
    assert signals.find([task("a", second=3), task("b", second=7)], "here") == {"a"}
    [(_, until)] = engine.asked
    assert until % 60 == pytest.approx(7.5), "the engine's own clock, at the newest end"
    engine.told = ()  # 256 events later
    assert signals.find([task("a", second=3), task("b", second=7)], "here") == {"a"}
    assert len(engine.asked) == 1


def test_an_engine_that_does_not_tell_is_no_answer() -> None:
    engine = Told()
    engine.told = None
    with pytest.raises(ObserveError):
        Signals(engine).find([task("a")], "here")
