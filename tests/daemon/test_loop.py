"""The daemon's parts: signs of life, what a turn survives, garbage collection, usable specs."""

import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from reconciler.adapters.clock import StopFlag
from reconciler.core.host import retention, spec_set
from reconciler.core.testrun import base
from reconciler.engine.host import housekeeping, image_gc
from reconciler.engine.host.daemon import DISK, TICK, Daemon, Surroundings
from reconciler.engine.host.desired import Desired
from reconciler.engine.host.forge_answers import Waiting
from reconciler.engine.host.watchdog import Watchdog
from reconciler.engine.ports import Ports
from reconciler.engine.testrun.realms import Reaped
from reconciler.model.errand import Errand, ErrandEnd
from reconciler.model.errors import ObserveError, Problem, StateError
from reconciler.model.host import Usage
from reconciler.model.ids import AppName
from reconciler.model.moved import Moved
from reconciler.model.observed import Inventory, StoredImage
from reconciler.model.probe import Probe
from reconciler.model.request import Request
from reconciler.ports.run_starter import LostRun
from reconciler.state.asked_tests import AskedTests
from reconciler.state.requests import RequestQueue
from reconciler.state.runs import RunStore
from tests.builders import NOW, journal, spec
from tests.engine.conftest import V1
from tests.fakes.world import Behaviour, Host

V2 = "1.0.1+5.0.1"


class Words:
    """A service manager that writes down what it hears."""

    watchdog_s: float | None = None

    def __init__(self) -> None:
        self.heard: list[str] = []

    def ready(self, text: str) -> None:
        self.heard.append("ready")

    def status(self, text: str) -> None:
        self.heard.append(text)

    def reloading(self, monotonic_s: float) -> None:
        self.heard.append("reloading")

    def stopping(self, text: str) -> None:
        self.heard.append("stopping")

    def alive(self) -> None:
        self.heard.append("alive")

    def extend(self, seconds: float) -> None:
        self.heard.append("extend")


class Nothing:
    """Spool, telemetry, files and events that have nothing to say."""

    failures = 0
    counted = 0

    def stop_test(self, app: AppName, ref: str | None, spare: str = "") -> int:
        return 0

    def collect_lost(self) -> Sequence[LostRun]:
        return ()

    def stamp(self) -> Hashable:
        return 0

    def take(self) -> Sequence[Request]:
        return []

    def load(self, before: Desired | None) -> Desired:
        assert before is not None
        return before

    def passed(self, elapsed_s: float) -> None: ...

    def publish(self) -> None: ...

    def realms(self, count: int) -> None:
        self.counted = count

    def failed(self) -> None:
        self.failures += 1

    def seed(self, app: AppName) -> bool:
        return False

    def test(self, app: AppName, mode: str, ref: str | None, request: str = "", at: str = "") -> bool:
        return False

    def begin(self, errand: Errand, done: Callable[[ErrandEnd], None]) -> bool:
        return False

    def stop(self) -> None: ...

    def follow(self, wake: Callable[[str], None], stopped: Callable[[], bool]) -> None: ...


def turn(daemon: Daemon, reasons: set[str]) -> None:
    """One turn of the loop, with what it gave to the workers."""
    daemon._turn(reasons)
    assert daemon.workers.wait_until_idle(20)


def made(world: Host, ports: Ports, nothing: Nothing, reap: Callable[[], Reaped | None] = lambda: None) -> Daemon:
    """A daemon over the fake world, not started."""
    settings, root = world.settings, world.root / "state"
    state = Desired(settings=settings, specs=tuple(world.specs), by_file={}, ports=ports, events=nothing)
    watchdog = Watchdog(Words(), world.clock.monotonic, threading.Event())
    full = [Usage(path="/", used=90, free=10, percent=90)]
    around = Surroundings(
        desired=nothing,
        requests=RequestQueue(root / "requests", None),
        telemetry=nothing,
        watchdog=watchdog,
        stop=threading.Event(),
        starter=nothing,
        errands=nothing,
        waiting=Waiting(asked=AskedTests(root / "asked"), runs=RunStore(root / "runs", None, world.clock.now)),
    )
    return Daemon(
        around, state, keep_house=lambda now: housekeeping.keep_house(now, nothing, lambda _paths: full, reap)
    )


def test_images_that_a_test_brought_may_go_when_no_canonical_needs_them(host: Host) -> None:
    ports = host.ports()
    digest = "sha256:" + "a" * 64
    asked, pinned = "registry.test/notes:4", f"registry.test/notes@{digest}"
    old = NOW - timedelta(90)
    host.engine.stored = [StoredImage(id="sha256:4", references=(asked, pinned), size=1, tagged_at=old, used=False)]
    assert image_gc.collect(ports, host.settings, host.specs, dry_run=True).removed == ()
    url = host.specs[0].recipe.url
    ports.canonicals.change_greens(url, lambda greens: base.brought(greens, {asked: pinned}))
    assert [removal.id for removal in image_gc.collect(ports, host.settings, host.specs).removed] == ["sha256:4"]


def test_a_sign_of_life_only_while_the_work_moves(host: Host) -> None:
    words, stop = Words(), threading.Event()
    watchdog = Watchdog(words, host.clock.monotonic, stop)
    watchdog.expect(10)
    watchdog.beat()
    host.clock.seconds += 11
    watchdog.beat()
    assert words.heard == ["alive"]
    assert not watchdog.is_alive()
    watchdog.progress("notes", "snapshot")  # a step may take longer than a pass without one
    host.clock.seconds += 3600
    stop.set()
    watchdog.beat()
    assert words.heard == ["alive", "notes: snapshot", "alive", "extend"]


def test_what_takes_long_is_alive_as_long_as_it_moves(host: Host) -> None:
    words = Words()
    watchdog = Watchdog(words, host.clock.monotonic, threading.Event())
    watchdog.step_s = 100.0
    watchdog.begin("notes")
    for hour in range(3):
        watchdog.tell(Moved(app="notes", doing="snapshot: copying", done=hour << 30, of=4 << 30))
        host.clock.seconds += 90
        watchdog.expect(10)
        assert watchdog.is_alive()
    assert words.heard == [
        "notes: snapshot: copying: 1.0 of 4.0 GiB, 11 MiB/s, 5 min left",
        "notes: snapshot: copying: 2.0 of 4.0 GiB, 11 MiB/s, 3 min left",
    ]
    host.clock.seconds += 20
    watchdog.expect(10)
    assert not watchdog.is_alive()


def test_a_pass_that_throws_is_told_and_the_next_one_runs(host: Host) -> None:
    nothing, ports = Nothing(), host.ports()
    daemon = made(host, ports, nothing)

    def fault(call: str, when: str) -> None:
        if call == "look":
            raise RuntimeError("a mistake of ours")

    host.engine.fault = fault
    turn(daemon, {TICK})
    assert (nothing.failures, daemon.passes) == (1, 0)
    [alert] = host.alerts()
    assert (alert.reason, alert.evidence) == ("pass-failed", ("pass: RuntimeError: a mistake of ours",))
    host.engine.fault = lambda _call, _when: None
    turn(daemon, {TICK})
    assert (daemon.passes, daemon.failed, host.alerts()) == (1, "", [])


def test_a_full_disk_is_alerted_and_only_what_nothing_needs_goes(host: Host) -> None:
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    pinned = host.ports().store.known_good(host.specs[0].app)
    assert pinned is not None and pinned.fallback is not None
    old = NOW - timedelta(days=30)

    def image(number: int, *names: str, used: bool = False, **changes: Any) -> StoredImage:
        fields: dict[str, Any] = {"size": 100, "tagged_at": old, "used": used}
        return StoredImage(id=f"sha256:{number:064x}", references=names, **(fields | changes))

    digests = [next(iter(r.images.values())).partition("@")[2] for r in (pinned.release, pinned.fallback.release)]
    host.engine.stored = [
        image(1, "registry.test/notes:5.0.1", f"registry.test/notes@{digests[0]}"),
        image(2, f"registry.test/notes@{digests[1]}"),
        image(3),
        image(4, used=True),
        image(5, tagged_at=NOW),
        image(6, "somebody.else/app:1"),
    ]
    daemon = made(host, host.ports(), Nothing())
    turn(daemon, {DISK})
    assert [stored.id[-1] for stored in host.engine.stored] == ["1", "2", "4", "5", "6"]
    assert [alert.reason for alert in host.alerts()] == ["disk"]


def test_nothing_goes_while_something_is_in_flight(host: Host) -> None:
    host.engine.stored = [StoredImage(id="sha256:3", references=(), size=1, tagged_at=NOW - timedelta(90), used=False)]
    ports = host.ports()
    held = ports.locks.acquire(host.specs[0].app, "a test")
    assert "being worked on" in image_gc.collect(ports, host.settings, host.specs).skipped
    held.release()
    assert len(image_gc.collect(ports, host.settings, host.specs, dry_run=True).removed) == 1
    (host.root / "state" / "notes" / "memory.json").write_text("{")
    with pytest.raises(StateError):
        image_gc.collect(host.ports(), host.settings, host.specs)
    assert len(host.engine.stored) == 1


def stored(*references: str, age: int = 30) -> StoredImage:
    return StoredImage(
        id="sha256:" + "f" * 64, references=references, size=1, tagged_at=NOW - timedelta(days=age), used=False
    )


@pytest.mark.parametrize(
    ("references", "goes"),
    [
        ((), True),
        (("r/app:1",), True),
        (("r/app:1", "r/app@sha256:" + "1" * 64), True),
        (("r/app@sha256:" + "1" * 64,), True),
        (("r/app:2",), False),
        (("r/app:1", "foreign:1"), False),
        (("other@sha256:" + "2" * 64,), False),
    ],
)
def test_only_dangling_images_and_those_that_were_ours_go(references: tuple[str, ...], goes: bool) -> None:
    ours = ["r/app:1", "@sha256:" + "1" * 64, "r/app:2"]
    found = retention.removable(Inventory(images=(stored(*references),)), ["r/app:2"], ours, timedelta(days=7), NOW)
    assert bool(found) is goes


def test_nothing_goes_by_an_empty_listing_or_when_nothing_is_known() -> None:
    age = timedelta(days=7)
    assert retention.removable(Inventory(images=()), ["a:1"], [], age, NOW) == ()
    assert retention.removable(Inventory(images=(stored(),)), [], [], age, NOW) == ()
    assert retention.removable(Inventory(images=(stored(age=1),)), ["a:1"], [], age, NOW) == ()


def test_an_image_that_is_needed_by_digest_stays_whatever_it_is_called() -> None:
    digest = "sha256:" + "7" * 64
    images = Inventory(images=(stored("r/app:1", f"r/app@{digest}"),))
    assert retention.removable(images, [f"r/app:1@{digest}"], ["r/app:1"], timedelta(0), NOW) == ()
    assert retention.removable(images, ["sha256:" + "f" * 64], ["r/app:1"], timedelta(0), NOW) == ()


def test_a_clash_keeps_both_sides_as_they_were() -> None:
    one, two = spec(name="one", domain="one.test"), spec(name="two", domain="two.test")
    moved = spec(name="two", domain="one.test")
    chosen, problems = spec_set.usable({"1": one, "2": moved}, set(), {"1": one, "2": two})
    assert dict(chosen) == {"1": one, "2": two}
    assert {problem.key for problem in problems} == {"domain", "stack"}


def test_a_clash_without_a_before_leaves_the_later_one_out() -> None:
    one, two = spec(name="one", domain="one.test"), spec(name="two", domain="one.test")
    chosen, problems = spec_set.usable({"1": one, "2": two}, set(), {})
    assert list(chosen) == ["1"] and problems


def test_an_app_after_one_whose_file_is_wrong_still_runs() -> None:
    later = spec(name="later", after=["first"])
    chosen, problems = spec_set.usable({"2": later}, {"1"}, {})
    assert (list(chosen), problems) == (["2"], [])


def test_wrong_state_of_one_app_is_its_own(tmp_path: Path, host: Host) -> None:
    host.specs.append(spec(name="other", domain="other.test"))
    (host.root / "state" / "notes" / "known_good.json").write_text("[]")
    daemon = made(host, host.ports(), Nothing())
    turn(daemon, {TICK})
    status = host.ports().store.status()
    assert status is not None
    results = {entry.app: entry.result for entry in status.apps}
    assert results["notes"] == "held-state"
    assert results["other"].startswith("deployed:")


def test_a_change_of_an_app_that_is_no_longer_declared_is_told(host: Host) -> None:
    ports = host.ports()
    ports.store.put_journal(journal())
    host.specs.clear()
    daemon = made(host, ports, Nothing())
    turn(daemon, {DISK})
    assert {alert.reason for alert in host.alerts()} == {"orphan", "disk"}
    assert "a change is under way: notes" in image_gc.collect(ports, host.settings, []).skipped


def test_a_reload_ends_the_alerts_of_an_app_that_is_no_longer_declared(host: Host) -> None:
    host.release("2.0.0+6.0.0")
    host.reconcile()
    host.specs.clear()
    daemon = made(host, host.ports(), Nothing())
    daemon._take_over(dataclasses.replace(daemon.state, problems=(Problem(file="x", line=0, key="", message="torn"),)))
    assert "held-major" in {alert.reason for alert in host.alerts()}, "a file that cannot be read may declare it"
    daemon._take_over(dataclasses.replace(daemon.state, problems=()))
    assert host.alerts() == []


def test_a_rollback_is_logged_as_a_warning_and_what_is_critical_as_an_error(host: Host) -> None:
    daemon = made(host, host.ports(), Nothing())
    levels: dict[str, str] = {}
    host.release(V2, Behaviour(schema=2, fails="after"))
    with structlog.testing.capture_logs() as lines:
        turn(daemon, {TICK})
    levels |= {line["result"].partition(":")[0]: line["log_level"] for line in lines if line["event"] == "result"}
    host.prober.broken = True
    host.clock.seconds += 4000
    with structlog.testing.capture_logs() as lines:
        turn(daemon, {TICK})
    levels |= {line["result"].partition(":")[0]: line["log_level"] for line in lines if line["event"] == "result"}
    assert levels == {"rolled-back": "warning", "unhealthy": "error"}


def test_a_mistake_that_one_app_brings_out_is_its_own(host: Host) -> None:
    host.specs.append(spec(name="other", domain="other.test"))
    assert str(host.reconcile()[1].outcome.result).startswith("deployed:")

    def be_mistaken(asked: Probe) -> None:
        if asked.host == "other.test":
            raise KeyError("a mistake of ours")

    host.prober.on_probe = be_mistaken
    results = [str(report.outcome.result) for report in host.reconcile()]
    assert results == ["noop-healthy", "error"]


def test_a_ring_is_found_however_many_other_files_are_wrong() -> None:
    one, two = spec(name="one", domain="one.test", after=["two"]), spec(name="two", domain="two.test", after=["one"])
    chosen, problems = spec_set.usable({"1": one, "2": two}, {"broken"}, {})
    spec_set.in_order(list(chosen.values()))
    assert len(chosen) == 1 and "circle" in problems[0].message


def test_a_record_that_is_torn_keeps_no_other_apps_pins_from_being_put_back(host: Host) -> None:
    (host.root / "state" / "notes" / "known_good.json").write_text("[]")
    [problem] = image_gc.protect(host.ports(), host.specs)
    assert problem.startswith("notes: ")


def test_a_volume_that_could_not_be_restored_holds_before_anything_stops(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host.release(V2)
    real = os.statvfs

    def read_only(path: Any) -> Any:
        found = real(path)
        return os.statvfs_result((*found[:8], found.f_flag | os.ST_RDONLY, *found[9:]))

    before = list(host.engine.changes)
    monkeypatch.setattr(os, "statvfs", read_only)
    [report] = host.reconcile()
    assert str(report.outcome.result).startswith("held-preflight:")
    assert any("read-only here" in text for text in report.outcome.evidence)
    assert host.engine.changes == before


def test_a_stop_that_comes_in_a_signal_handler_never_waits_for_a_lock() -> None:
    flag = StopFlag()
    old = signal.signal(signal.SIGUSR1, lambda *_: flag.set())

    def send() -> None:
        for _ in range(3000):
            os.kill(os.getpid(), signal.SIGUSR1)

    storm = threading.Thread(target=send)
    try:
        storm.start()
        while storm.is_alive():
            flag.wait(0)
        storm.join()
        assert flag.wait(60) and flag.is_set()
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_a_folder_as_deep_as_the_sea_does_not_keep_other_requests_from_being_read(tmp_path: Path) -> None:
    folder = RequestQueue(tmp_path / "requests", None)
    folder.prepare()
    deep = tmp_path / "requests" / "d.json"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(1500):
        os.mkdir("x", dir_fd=here)
        inner = os.open("x", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (tmp_path / "requests" / "e.json").write_text('{"schema_version": 1, "action": "reconcile"}')
    assert len(folder.take()) == 1 and folder.waiting() == 0
    for path in (tmp_path / "requests.rejected").glob("folder-*"):
        subprocess.run(["rm", "-rf", str(path)], check=True)


def test_realms_of_dead_runs_are_reaped_and_counted(host: Host) -> None:
    nothing = Nothing()
    done = Reaped(removed=["notes-0a1b2c"], alive=["notes-1a1b2c"], foreign=["master", "acme"])
    made(host, host.ports(), nothing, lambda: done)._turn({DISK})
    assert nothing.counted == 3

    def away() -> Reaped:
        raise ObserveError("list realms: away")

    made(host, host.ports(), nothing, away)._turn({DISK})
    assert (nothing.counted, nothing.failures) == (3, 0), "another app's fault is not the daemon's"
