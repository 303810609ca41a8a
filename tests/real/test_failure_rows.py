"""How a release's task ends x when: whose fault that is, and what is done, on a real engine.

Good releases on an engine that is restarted, frozen and drained are in `test_verdicts`, bad ones at the end of this;
every row as a pure decision is in `tests/core/change/test_judge.py`. A release is taken back with its data only where
the row says so.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.change import disturbances
from tests.engines.machine import OWN, Machine, machine
from tests.hosts.engine_host import EngineHost, engine_host
from tests.real.ends import ENDS
from tests.real.failures import Play
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(900), pytest.mark.together("machines")]
SIDE_BY_SIDE = 3
BACK, RETRY, KEPT, ALERT = "taken back", "taken back, not blamed", "kept", "alert"
"""With its data and quarantined; the same without quarantine, for it is tried again; Swarm mends it and the data is
kept; told while it lasts, and the data is kept."""
#                      before the commit  in the bake watch  after it
ROWS: Mapping[str, tuple[str | None, str | None, str | None]] = {
    "exit 0": (BACK, BACK, ALERT),
    "exit 1": (BACK, BACK, ALERT),
    "exit 1 once": (None, KEPT, KEPT),
    "out of memory": (BACK, BACK, ALERT),
    "unhealthy": (BACK, BACK, ALERT),
    "killed from outside": (KEPT, KEPT, KEPT),
    "killed from outside three times": (BACK, BACK, ALERT),
    "terminated from outside": (KEPT, KEPT, KEPT),
    "terminated from outside three times": (None, BACK, ALERT),
    "no such command": (BACK, None, None),
    "a command called after a network": (BACK, None, None),
    "its folder is missing": (BACK, ALERT, ALERT),
    "its port is taken": (RETRY, ALERT, ALERT),
    "its image is gone": (RETRY, ALERT, ALERT),
}
WHEN = ("before the commit", "in the bake watch", "after it")
DIFFERENT_WORDS = ("no such command", "its folder is missing", "its port is taken", "out of memory")
"""Engine 20.10 tells these otherwise than 28, so that they are tried on both."""


CASES = [
    pytest.param(end, when, done, id=f"{end}, {when}: {done}")
    for end, row in ROWS.items()
    for when, done in zip(WHEN, row, strict=True)
    if done is not None
]
OLDER = [case for case in CASES if case.values[0] in DIFFERENT_WORDS and case.values[1] != "after it"]
QUICK = [case for case in OLDER if case.values[1:] == ("in the bake watch", ALERT)]
"""In the ordinary run: a good release's data is at stake, and nothing but the machine's own engine is needed."""


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with machine(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def plays(
    engine: Machine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[tuple[str, str], "Future[None]"]]:
    """Every row of this engine that was chosen, some side by side: most of a row is waiting for Swarm."""
    asked = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [one for one in asked if "done" in one and one.get("engine") == engine.version]
    before = os.umask(0o077)  # of the process, as in every test
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            (one["end"], one["when"]): pool.submit(
                play, engine, tmp_path_factory.mktemp("row"), one["end"], one["when"], one["done"]
            )
            for one in chosen
        }
        pool.shutdown(cancel_futures=True)
    os.umask(before)


def play(engine: Machine, folder: Path, end: str, when: str, done: str) -> None:
    """Let V2 end so at that time, and look at what is done."""
    with _row(engine, folder / "host", end, "1s" if when == "after it" else "10m") as row:
        if when == "before the commit":
            row.upgrade_into_it()
            {BACK: row.assert_blamed, RETRY: row.assert_not_blamed, KEPT: row.assert_kept}[done]()
            return
        row.upgrade()
        if when == "after it":
            row.pass_until("noop-healthy")
            assert row.is_baked()
        row.do_harm()
        if done == BACK:
            row.assert_goes_back()
        elif done == KEPT:
            row.assert_mended()
        else:
            row.assert_told()
        row.host.observed.check()


@contextmanager
def _row(engine: Machine, home: Path, end: str, bake: str) -> Iterator[Play]:
    """V1 on a host of its own, on an engine that was not started just now."""
    extra = {"upgrade": {"bake": bake}, "allow": ["host-mounts"]}
    with engine_host(home, "swarm", executable=engine.executable, extra=extra) as host:
        host.set(docker_host=engine.host, limits={"call": "2s", "steady_probe": "2s"})
        row = Play(engine=engine, host=host, end=ENDS[end])
        row.begin()
        until(lambda: not _is_disturbed(host), 90, "the engine was not started just now")
        try:
            yield row
        finally:
            row.clean.close()


def _is_disturbed(host: EngineHost) -> bool:
    stack = host.program.build().ports.engine.observe_stack(host.stack)
    return disturbances.find(stack, datetime.now(UTC), "") is not None


@pytest.mark.matrix
@pytest.mark.parametrize("engine", ["28"], indirect=True)
@pytest.mark.parametrize(("end", "when", "done"), CASES)
def test_a_row(end: str, when: str, done: str, plays: Mapping[tuple[str, str], "Future[None]"]) -> None:
    plays[end, when].result()


@pytest.mark.matrix
@pytest.mark.parametrize("engine", [OWN], indirect=True)
@pytest.mark.parametrize(("end", "when", "done"), [case for case in OLDER if case not in QUICK])
def test_a_row_of_the_machines_own_engine(
    end: str, when: str, done: str, plays: Mapping[tuple[str, str], "Future[None]"]
) -> None:
    plays[end, when].result()


@pytest.mark.parametrize("engine", [OWN], indirect=True)
@pytest.mark.parametrize(("end", "when", "done"), QUICK)
def test_a_good_release_that_the_host_starts_no_more(
    end: str, when: str, done: str, plays: Mapping[tuple[str, str], "Future[None]"]
) -> None:
    plays[end, when].result()


def _kill_engine(engine: Machine, _: Sequence[Play]) -> None:
    engine.restart(signal.SIGKILL)


def _freeze(engine: Machine, plays: Sequence[Play]) -> None:
    with engine.frozen():
        assert [one.look() for one in plays] == ["unknown"] * len(plays)


def _drain(engine: Machine, plays: Sequence[Play]) -> None:
    engine.drain()
    for one in plays:
        one.pass_until("unhealthy", 60)
    engine.activate()


MEANWHILE: Mapping[str, Callable[[Machine, Sequence[Play]], None]] = {
    "killed": _kill_engine,
    "frozen": _freeze,
    "drained": _drain,
}


@pytest.mark.matrix
@pytest.mark.parametrize("engine", ["28"], indirect=True)
@pytest.mark.parametrize("how", MEANWHILE)
def test_what_fails_is_told_although_the_engine_was_disturbed_meanwhile(
    how: str, engine: Machine, plays: Mapping[tuple[str, str], "Future[None]"], tmp_path: Path
) -> None:
    """Later, for what happened around the disturbance says nothing."""
    wait(plays.values())  # they want a steady engine
    with ExitStack() as stack:
        guilty, innocent = [
            stack.enter_context(_row(engine, tmp_path / str(number), end, "10m"))
            for number, end in enumerate(("exit 1", "its folder is missing"))
        ]
        for one in (guilty, innocent):
            one.upgrade()
            one.do_harm()
            one.await_failure()
        MEANWHILE[how](engine, (guilty, innocent))
        guilty.pass_until("rolled-back", 200)
        guilty.assert_blamed()
        innocent.assert_told()
