"""What cannot be read is never told as nothing: one error that names it, and exit 1."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from reconciler.app import prepare_state
from reconciler.cli.main import program
from reconciler.core.conditions import RecipeUnreadable
from reconciler.model.errors import StateError
from reconciler.model.published import StatusReport
from reconciler.state.alerts import AlertStore
from reconciler.state.history import HistoryFile
from reconciler.state.record_store import RecordStore
from reconciler.state.requests import RequestQueue
from tests.builders import NOW
from tests.state.test_state_files import line

_OTHER = 65534
pytestmark = pytest.mark.usefixtures("as_root")


@contextlib.contextmanager
def as_other() -> Iterator[None]:
    """Read as another user does."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(_OTHER)
    os.seteuid(_OTHER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@pytest.fixture
def state() -> Iterator[Path]:
    """A state root that others may pass through, with an alert, a history and a status."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o751)
    prepare_state(folder, None)
    alerts = AlertStore(folder / "alerts")
    alerts.prepare()
    alerts.raise_(RecipeUnreadable(app="notes").alert(NOW, ["gone"]))
    HistoryFile(folder / "history.jsonl").append(line("one"))
    RecordStore(folder).put_status(StatusReport(at=NOW, elapsed_seconds=1.0, engine="fake", apps=()))
    yield folder
    shutil.rmtree(folder)


def ci_warm(state: Path, *args: str) -> Result:
    return CliRunner().invoke(program, ["--state-dir", str(state), *args])


COMMANDS = {
    "alerts": (("alerts", "list"), "alerts"),
    "alerts that ended": (("alerts", "list", "--seen"), "alerts/seen"),
    "one alert": (("alerts", "show", "x"), "alerts"),
    "history": (("history",), "history.jsonl"),
    "status": (("status",), "status.json"),
}


@pytest.mark.parametrize(("command", "named"), COMMANDS.values(), ids=COMMANDS)
def test_what_another_user_may_not_read_is_an_error_that_names_it(
    state: Path, command: tuple[str, ...], named: str
) -> None:
    assert ci_warm(state, *command[:2]).exit_code in (0, 2)  # lazy imports happen here, as root
    with as_other():
        ran = ci_warm(state, *command)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {state / named}: ") and ran.stderr.count("\n") == 1


def test_a_status_whose_alerts_may_not_be_read_is_an_error(state: Path) -> None:
    (state / "status.json").chmod(0o644)
    with as_other():
        ran = ci_warm(state, "status")
    assert ran.exit_code == 1
    assert f"error: {state / 'alerts'}: cannot be read" in ran.stderr


def test_an_alert_that_may_not_be_read_is_not_left_out(state: Path) -> None:
    (state / "alerts").chmod(0o755)
    with as_other(), pytest.raises(StateError, match="cannot be read: Permission denied"):
        AlertStore(state / "alerts").open()


def test_requests_that_may_not_be_read_are_an_error(state: Path) -> None:
    queue = RequestQueue(state / "requests", None)
    queue.prepare()
    with as_other():
        for ask in (queue.take, queue.waiting):
            with pytest.raises(StateError, match="requests: cannot be read"):
                ask()


def test_a_group_made_after_the_first_run_gets_what_is_published(state: Path) -> None:
    RequestQueue(state / "requests", None).prepare()
    gid = 12345
    prepare_state(state, gid)
    AlertStore(state / "alerts", gid).prepare()
    RequestQueue(state / "requests", gid).prepare()
    published = [state / name for name in ("alerts", "alerts/seen", "requests", "history.jsonl", "status.json")]
    published += (state / "alerts").glob("2*.json")
    assert {path.name: path.stat().st_gid for path in published} == {path.name: gid for path in published}
    assert (state / "requests").stat().st_mode & 0o7777 == 0o3770
    assert (state / "locks").stat().st_gid != gid


def test_folders_get_back_the_mode_that_they_need(state: Path) -> None:
    for name in ("alerts", "locks"):
        (state / name).chmod(0o777)
    prepare_state(state, None)
    assert [(state / name).stat().st_mode & 0o7777 for name in ("alerts", "locks")] == [0o750, 0o700]
