"""What takes long shows on a terminal how fast it is and how long it will still take; a pipe gets a few plain lines."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import progress
from reconciler.model.moved import Counted, Moved
from tests.cli.test_terminal import Terminal
from tests.hosts.engine_host import V1, EngineHost, engine_host

WORK = """
import sys, time
from reconciler import logs
from reconciler.cli import progress
from reconciler.model.moved import Counted
from reconciler.ports.progress import Meter
logs.configure(verbose=False)
shown = progress.Shown({})
shown.step("notes", "snapshot")
seconds, total = float(sys.argv[1]), 100 << 20
with Meter(shown.tell, "notes", "snapshot: copying", total) as meter:
    for tick in range(1, 101):
        time.sleep(seconds / 100)
        meter.reach(tick << 20)
        if tick == 90:
            shown.step("other", "settle")
if "counted" in sys.argv:
    shown.tell(Counted(app="run", doing="stage upgrade", done=1, of=5, left_s=90.0))
    time.sleep(1.5)
    shown.tell(Counted(app="run", doing="", done=0, of=0, over=True))
print('{"ok": true}')
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
FIGURES = re.compile(r"(\d+) %, (\d+) of 100 MiB, \d+(\.\d)? MiB/s, \d+ s left")


def argv(*words: str) -> list[str]:
    return [sys.executable, "-c", WORK, *words]


def without_bar(line: str) -> str:
    """What stands in a line after all that was drawn and cleared in it."""
    return ESCAPES.sub("", line.rpartition("\x1b[2K")[2])


def test_a_terminal_shows_share_rate_and_time_left_and_nothing_of_it_stays() -> None:
    shown = Terminal(argv("4"), 100, TERM="xterm").finish()
    found = [(int(share), int(done)) for share, done, _ in FIGURES.findall(shown)]
    assert len(found) > 3 and found == sorted(found) and found[0][0] >= 45, shown
    assert all(share == done for share, done in found)
    assert "notes: snapshot: copying  " in shown
    assert shown.count('{"ok": true}') == 1 and shown.endswith('{"ok": true}\n'), "the bar is gone before the result"
    steps = [line for line in map(without_bar, shown.splitlines()) if "doing=" in line]
    assert ["doing=settle" in line for line in steps] == [False, True] and "%" not in "".join(steps), "above the bar"


def test_short_work_shows_nothing_but_its_steps() -> None:
    shown = Terminal(argv("0.5"), 100, TERM="xterm").finish()
    assert "MiB" not in shown and "\x1b[?25l" not in shown and "doing=snapshot" in ESCAPES.sub("", shown)


def test_a_stage_shows_the_time_that_passes() -> None:
    shown = Terminal(argv("0.1", "counted"), 100, TERM="xterm").finish()
    left = [int(found) for found in re.findall(r"run: stage upgrade  1 of 5, (\d+) s left, \d s so far", shown)]
    assert max(left) == 90 and min(left) in (88, 89), shown


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_shows_what_matters_most(columns: int) -> None:
    shown = Terminal(argv("3.5"), columns, TERM="xterm").finish()
    drawn = [ESCAPES.sub("", line) for line in re.split("[\r\n]", shown)]
    bars = [line for line in drawn if re.search(r"\d+ %, \d s left", line)]
    assert len(bars) > 2 and max(map(len, bars)) <= columns, shown


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_who_asks_for_no_movement_gets_lines(environment: dict[str, str]) -> None:
    shown = Terminal(argv("3"), 120, **environment).finish()
    assert "\x1b" not in shown
    [line] = [line for line in shown.splitlines() if "left=" in line]
    assert "snapshot: copying" in line and "MiB/s" in line


def test_a_pipe_gets_plain_lines_and_none_for_short_work() -> None:
    for seconds, count in (("3", 1), ("0.5", 0)):
        ran = subprocess.run(argv(seconds), capture_output=True, text=True, timeout=60, check=True)
        assert ran.stdout == '{"ok": true}\n'
        lines = [json.loads(line) for line in ran.stderr.splitlines()]
        told = [line for line in lines if "done" in line]
        assert len(told) == count
        for line in told:
            assert (line["event"], line["app"], line["doing"]) == ("step", "notes", "snapshot: copying")
            assert line["of"] == "100 MiB"
            assert re.fullmatch(r"\d+ MiB", line["done"]) and re.fullmatch(r"\d+ MiB/s", line["rate"])
            assert re.fullmatch(r"\d s", line["left"])


def test_what_a_stop_is_answered_with_says_how_far_it_is() -> None:
    doing: dict[str, str] = {}
    shown = progress.Shown(doing)
    shown.step("notes", "snapshot")
    assert doing == {"notes": "snapshot"}
    shown.tell(Moved(app="notes", doing="snapshot: copying", done=43, of=100))
    shown.tell(Counted(app="run", doing="stage upgrade", done=1, of=5))
    assert doing == {"notes": "snapshot: copying, 43 %", "run": "stage upgrade, 20 %"}
    shown.tell(Moved(app="notes", doing="snapshot: copying", done=50, of=None))
    shown.tell(Counted(app="run", doing="", done=0, of=0, over=True))
    assert doing == {"notes": "snapshot: copying"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    with engine_host(tmp_path_factory.mktemp("progress") / "host", "embedded") as made:
        made.release(V1)
        made.deploy_first()
        made.program.command("undeploy", "notes", "--yes", "--reason", "a test")
        yield made


def test_commands_show_it_and_their_json_stays_whole(host: EngineHost, tmp_path: Path) -> None:
    patient = "from reconciler.cli import progress; progress.LONG_S = 0.0; import sys;"
    code = f"{patient} from reconciler.cli.main import command; command(sys.argv[1:])"
    globals_ = host.program.argv()[len(host.program.executable) :]
    for words, doing in (
        ("snapshot create notes", "snapshot: copying"),
        ("snapshot verify notes", "notes: verify"),
        ("snapshot drill notes", "drill: comparing"),
        ("snapshot restore notes --yes", "restore: unpacking"),
    ):
        out = tmp_path / "out"
        shell = f'exec "$@" > {out}'
        command = [sys.executable, "-c", code, *globals_, *words.split(), "--json"]
        shown = Terminal(["sh", "-c", shell, "sh", *command], 100, TERM="xterm").finish()
        assert doing in shown, (words, shown)
        assert json.loads(out.read_text())["schema_version"] == 1
        assert shown.count("\x1b[?25h") >= shown.count("\x1b[?25l"), "the cursor is back"


def test_nothing_of_it_is_loaded_where_nothing_takes_long() -> None:
    code = f"{WORK}\nprint(sorted(set(sys.modules) & {{'rich'}}))"
    began = time.monotonic()
    shown = Terminal([sys.executable, "-c", code, "0.1"], 100, TERM="xterm").finish()
    assert shown.endswith("[]\n"), time.monotonic() - began
