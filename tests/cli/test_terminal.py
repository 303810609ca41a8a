"""What people see on a terminal, wide or narrow, with colours or without, and what programs read from a pipe."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import tables
from reconciler.core.suggest import suggest
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    with engine_host(tmp_path_factory.mktemp("terminal") / "host", "embedded") as made:
        made.release(V1)
        made.deploy_first()
        made.release(V2, FAIL="after")
        assert made.program.reconcile() == f"rolled-back:{V2}->{V1}"
        made.program.reconcile()
        yield made


def _listen_to_ctrl_c() -> None:
    """A shell that starts the tests in the background has its children ignore it, and those of them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A program on a terminal of that width."""

    def __init__(self, argv: list[str], columns: int, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "TERM")}
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env | environment, preexec_fn=_listen_to_ctrl_c
        )
        os.close(theirs)
        self.text = ""

    def read(self, seconds: float) -> str:
        """What was shown so far, and what is shown within that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and select.select([self._ours], [], [], 0.1)[0]:
            try:
                self.text += os.read(self._ours, 65536).decode()
            except OSError:
                break
        return self.text

    def finish(self) -> str:
        """All of it, once the program has ended."""
        until(lambda: self.read(0.2) is not None and self.process.poll() is not None, 60, "the program ends")
        self.read(0.5)
        os.close(self._ours)
        return self.text.replace("\r\n", "\n")


def show(host: EngineHost, *args: str, columns: int = 120, term: str = "xterm-256color", **environment: str) -> str:
    return Terminal(host.program.argv(*args), columns, TERM=term, **environment).finish()


def test_a_terminal_gets_a_table_with_colours_and_nobody_who_asks_for_none(host: EngineHost) -> None:
    shown = show(host, "status")
    assert "\x1b[33mheld-quarantined" in shown, "yellow: it waits"
    for plain in (show(host, "status", NO_COLOR="1"), show(host, "status", term="dumb")):
        assert "\x1b" not in plain and "held-quarantined" in plain
        assert re.search(r"app +status +result", plain)


@pytest.mark.parametrize("columns", [20, 40, 70])
def test_what_is_shown_fits_the_terminal_and_nothing_is_lost(host: EngineHost, columns: int) -> None:
    lines = show(host, "history", columns=columns, NO_COLOR="1").splitlines()
    if columns < 60:
        assert "app: notes" in lines and f"result: rolled-back:{V2}->{V1}" in lines
    else:
        assert max(map(len, lines)) <= columns
        assert "rolled" in "".join(lines)


def test_a_pipe_gets_the_same_columns_in_every_row_and_no_colours(host: EngineHost) -> None:
    shown = host.program.command("history").stdout
    assert "\x1b" not in shown
    rows = [re.split(r" {2,}", line) for line in shown.splitlines()]
    assert {len(row) for row in rows} == {6}


def test_a_pipe_that_closes_is_no_traceback(host: EngineHost) -> None:
    for words in ("history", "history --json", "schema app", "alerts list", "--help"):
        process = subprocess.Popen(host.program.argv(*words.split()), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(60) in (0, 1) and "Traceback" not in said and "BrokenPipe" not in said, (words, said)


def test_nothing_to_list_is_said_beside_the_output(host: EngineHost, tmp_path: Path) -> None:
    state = str(tmp_path / "empty")
    argv = [*host.program.executable, "--config", str(host.program.config), "--state-dir", state, "alerts", "list"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr.strip()) == ("", "no open alerts")


def test_a_watched_status_is_drawn_over_and_never_cleared(host: EngineHost) -> None:
    watch = Terminal(host.program.argv("status", "--watch"), 120, TERM="xterm")
    until(lambda: re.search("quarantined  .*\r\n", watch.read(0.2)), 30, "the first screen is whole")
    before = len(watch.text)
    host.program.reconcile()
    drawn = re.compile("\x1b\\[H.*quarantined  .*\x1b\\[J", re.DOTALL)
    until(lambda: drawn.search(watch.read(0.2)[before:]), 30, "it is drawn once more, over the first")
    watch.process.send_signal(2)
    watch.finish()
    assert "\x1b[2J" not in watch.text[before:]
    assert watch.process.returncode == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["explain", "note"], "no app is named 'note' (did you mean notes?); there are: notes"),
        (["history", "nots"], "(did you mean notes?)"),
        (["approve", "notes", "1.0.1+5.0.2", "--reason", "x"], f"(did you mean {V2} or {V1}?)"),
        (["approve", "notes", "1.0.1", "--reason", "x"], f"(did you mean {V2}"),
        (["reconsile"], "Did you mean 'reconcile'?"),
    ],
)
def test_a_typing_error_is_told_with_what_may_have_been_meant(host: EngineHost, args: list[str], says: str) -> None:
    ran = host.program.command(*args)
    assert ran.returncode == 2 and says in ran.stderr, ran.stderr


def test_suggestions_are_near_or_none() -> None:
    assert suggest("xyz", ["notes", "wiki"]) == ""
    assert suggest("wi", ["notes", "wiki"]) == " (did you mean wiki?)"
    assert suggest("", ["notes"]) == ""


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("noop-healthy", "green"),
        ("upgraded:1->2", "green"),
        ("in-sync", "green"),
        ("held-major:1->2", "yellow"),
        ("converging:1", "yellow"),
        ("rolled-back:2->1", "red"),
        ("rollback-failed:2->1", "red"),
        ("unhealthy:1", "red"),
        ("critical", "red"),
        ("redis", ""),
        ("reddit.example.org", ""),
        ("notes", ""),
    ],
)
def test_states_have_their_colour_and_names_have_none(text: str, style: str) -> None:
    assert tables.style_of(text) == style


def test_short_commands_start_without_what_they_do_not_need(host: EngineHost) -> None:
    code = (
        "import sys; from reconciler.cli.main import command\n"
        "try: command(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'docker', 'rich', 'pygments', 'keycloak', 'apprise', 'tarfile', 'asyncio',"
        " 'structlog', 'reconciler.core.release.render', 'reconciler.engine.live.reconcile',"
        " 'reconciler.engine.canonical.reconcile'}), file=sys.stderr)"
    )
    globals_ = host.program.argv()[len(host.program.executable) :]
    for words, needs in ((["status"], []), (["plan"], ["reconciler.core.release.render"])):
        argv = [sys.executable, "-c", code, *globals_, *words]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60).stderr.splitlines()[-1]
        assert said == str(needs), words
