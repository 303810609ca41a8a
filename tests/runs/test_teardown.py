"""What a run leaves behind, and the reaper."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from reconciler import app as composition
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.app import App
from reconciler.engine.testrun import teardown
from reconciler.model.alert import Alert
from reconciler.model.ids import StackName
from reconciler.model.testrun import Run
from reconciler.model.tests import Stage
from reconciler.state import removal
from reconciler.state.alerts import AlertStore
from reconciler.state.runs import RunHandle, RunStore
from tests.hosts.engine_host import EngineHost
from tests.runs.scenes import slow, started, state


def with_engine(app: App, kind: type[EmbeddedEngine]) -> App:
    return replace(app, ports=replace(app.ports, engine=kind(app.state / "engine")))


class BrokenEngine(EmbeddedEngine):
    @override
    def purge(self, stack: StackName) -> tuple[str, ...]:
        raise ValueError("no error that was foreseen")


class HeldVolumeEngine(EmbeddedEngine):
    @override
    def purge(self, stack: StackName) -> tuple[str, ...]:
        return ("volume held by a stranger",)


def test_a_teardown_that_goes_wrong_stays_for_the_reaper(small: EngineHost) -> None:
    run = small.program.test(app=with_engine(small.program.build(), BrokenEngine))
    assert not run.torn_down and "no error that was foreseen" in run.leftovers[0] and small.observed.left() != []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    assert small.program.command("runs", "reap").returncode == 0
    assert small.observed.left() == []


def test_a_tree_that_is_made_too_deep_wedges_nothing(small: EngineHost) -> None:
    assert small.program.test().promoted
    fd = os.open(small.observed.data(), os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert small.program.command("canonical", "undeploy", small.name, "--restore").returncode == 0
    assert state(small)["status"] == "idle" and not (small.observed.data() / "d").exists()
    assert not [path.name for path in small.observed.data().parent.iterdir() if path.name.startswith(".deep")]


def test_a_deep_folder_is_removed_and_a_link_is_not_followed(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").write_text("mine")
    top = tmp_path / "top"
    top.mkdir()
    here = top
    for _ in range(250):
        here = here / "d"
        here.mkdir()
        (here / "link").symlink_to(keep)
    removal.remove_tree(top)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep"] and (keep / "file").exists()


class RunOnAFullDisk(RunHandle):
    @override
    def write(self, run: Run) -> None:
        if run.torn_down:
            raise OSError(28, "No space left on device")
        super().write(run)


class RunsOnAFullDisk(RunStore):
    @override
    def reopen(self, run: str, what: str) -> RunHandle:
        opened = super().reopen(run, what)
        return RunOnAFullDisk(opened.folder, self._gid, opened._held)


def test_a_disk_that_is_full_at_the_end_costs_the_report_and_not_the_teardown(small: EngineHost) -> None:
    app = small.program.build()
    full = replace(app, runs=RunsOnAFullDisk(app.runs.folder, None, app.clock.now))
    run = small.program.test(app=full, stages=(Stage.INSTALL,))
    assert run.result == "green" and small.observed.left() == []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    assert small.program.command("runs", "reap").returncode == 0
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is True


def test_old_reports_go_and_new_ones_stay(small: EngineHost) -> None:
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "keep_reports": 2})
    names = [small.program.test(stages=(Stage.INSTALL,)).run for _ in range(4)]
    (small.state / "runs" / "note-0a0b0c").mkdir()
    assert small.program.command("runs", "reap").returncode == 0
    assert {path.name for path in (small.state / "runs").iterdir() if path.name != ".locks"} == set(names[2:])


def test_a_broken_run_folder_stops_nobody_else(small: EngineHost) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [folder] = (path.parent for path in (small.state / "runs").glob("*/run.json"))
    shutil.rmtree(folder / "artefacts")
    (folder / "artefacts").write_text("not a folder")
    small.write_spec()
    assert small.program.command("cold", small.name).returncode == 0
    assert [run.torn_down for run in small.program.build().runs.reports()] == [
        True,
        True,
    ] and small.observed.left() == []


def test_what_the_reaper_cannot_remove_is_told_until_it_is_gone(small: EngineHost) -> None:
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "teardown": 0, "reap": 0})
    held = with_engine(small.program.build(), HeldVolumeEngine)
    run = small.program.test(app=held)
    assert teardown.reap(composition.run_environment(held)).failed == [run.run]
    alert = next(alert for alert in small.observed.alerts() if alert.reason != "promotion")
    assert (alert.app, alert.reason) == ("host", "run-leftovers")
    assert alert.evidence == (f"{run.run}: volume held by a stranger",)
    assert teardown.reap(composition.run_environment(small.program.build())).removed == [run.run]
    assert "run-leftovers" not in [alert.reason for alert in small.observed.alerts()]


class RunsThatGoBad(RunStore):
    @override
    def reopen(self, run: str, what: str) -> RunHandle:
        (self.folder / run / "run.json").write_text("{")
        return super().reopen(run, what)


class AlertsOnAFullDisk(AlertStore):
    @override
    def raise_(self, alert: Alert, *, anew: bool = False) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.damages
def test_a_report_that_goes_bad_and_a_full_disk_keep_no_test_waiting(small: EngineHost) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [report] = (small.state / "runs").glob("*/run.json")
    app = small.program.build()
    bad = replace(
        app,
        runs=RunsThatGoBad(app.runs.folder, None, app.clock.now),
        ports=replace(app.ports, alerts=AlertsOnAFullDisk(app.state / "alerts", None)),
    )
    assert teardown.reap(composition.run_environment(bad)).failed == [report.parent.name]
