"""What a run leaves behind, and the reaper."""

import json
import os
import shutil
from pathlib import Path

import pytest

from reconciler import app as composition
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.engine.testrun import teardown
from reconciler.model.testrun import Run
from reconciler.model.tests import Stage
from reconciler.state import removal
from reconciler.state.alerts import AlertStore
from reconciler.state.runs import RunHandle, RunStore
from tests.lab import Lab
from tests.runs.scenes import slow, started, state


def test_a_teardown_that_goes_wrong_stays_for_the_reaper(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True
    real = EmbeddedEngine.purge

    def purge(self: EmbeddedEngine, stack: object) -> tuple[str, ...]:
        if broken:
            raise ValueError("nobody foresaw this")
        return real(self, stack)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(EmbeddedEngine, "purge", purge)
    run = small.test()
    assert not run.torn_down and "nobody foresaw this" in run.leftovers[0] and small.left() != []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    broken = False
    assert small.command("runs", "reap").returncode == 0
    assert small.left() == []


def test_a_tree_that_is_made_too_deep_wedges_nothing(small: Lab) -> None:
    assert small.test().promoted
    fd = os.open(small.data(), os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert small.command("canonical", "undeploy", small.name, "--restore").returncode == 0
    assert state(small)["status"] == "idle" and not (small.data() / "d").exists()
    assert not [path.name for path in small.data().parent.iterdir() if path.name.startswith(".deep")]


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


def test_a_disk_that_is_full_at_the_end_costs_the_report_and_not_the_teardown(
    small: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RunHandle.write

    def write(self: RunHandle, run: Run) -> None:
        if run.torn_down:
            raise OSError(28, "No space left on device")
        real(self, run)

    monkeypatch.setattr(RunHandle, "write", write)
    run = small.test(stages=(Stage.INSTALL,))
    assert run.result == "green" and small.left() == []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    monkeypatch.undo()
    assert small.command("runs", "reap").returncode == 0
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is True


def test_old_reports_go_and_new_ones_stay(small: Lab) -> None:
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "keep_reports": 2})
    names = [small.test(stages=(Stage.INSTALL,)).run for _ in range(4)]
    (small.state / "runs" / "note-0a0b0c").mkdir()
    assert small.command("runs", "reap").returncode == 0
    assert {path.name for path in (small.state / "runs").iterdir() if path.name != ".locks"} == set(names[2:])


def test_a_broken_run_folder_stops_nobody_else(small: Lab) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [folder] = (path.parent for path in (small.state / "runs").glob("*/run.json"))
    shutil.rmtree(folder / "artefacts")
    (folder / "artefacts").write_text("not a folder")
    small.write_spec()
    assert small.command("cold", small.name).returncode == 0
    assert [run.torn_down for run in small.build().runs.reports()] == [True, True] and small.left() == []


def test_what_the_reaper_cannot_remove_is_told_until_it_is_gone(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedEngine, "purge", lambda *_: ("volume held by a stranger",))
    monkeypatch.setattr(teardown, "OWN", teardown.Patience(removing=0.0, away=0.0))
    monkeypatch.setattr(teardown.remove_stack, "__defaults__", (teardown.OWN,))
    monkeypatch.setattr(teardown, "REAPER", teardown.OWN)
    run = small.test()
    site = composition.run_environment(small.build())
    assert teardown.reap(site).failed == [run.run]
    alert = next(alert for alert in small.alerts() if alert.reason != "promotion")
    assert (alert.app, alert.reason) == ("host", "run-leftovers")
    assert alert.evidence == (f"{run.run}: volume held by a stranger",)
    monkeypatch.undo()
    assert teardown.reap(site).removed == [run.run]
    assert "run-leftovers" not in [alert.reason for alert in small.alerts()]


@pytest.mark.damages
def test_a_report_that_goes_bad_and_a_full_disk_keep_no_test_waiting(
    small: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [report] = (small.state / "runs").glob("*/run.json")
    real = RunStore.reopen

    def torn(self: RunStore, run: str, what: str) -> RunHandle:
        report.write_text("{")
        return real(self, run, what)

    monkeypatch.setattr(RunStore, "reopen", torn)
    monkeypatch.setattr(AlertStore, "raise_", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert teardown.reap(composition.run_environment(small.build())).failed == [report.parent.name]
