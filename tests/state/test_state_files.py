"""State files: torn, flipped, newer, foreign; full disks; history exactly once; alerts one per condition; locks."""

import json
import os
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.testrun import base
from reconciler.model.alert import Alert, Severity
from reconciler.model.canonical import Green, Greens
from reconciler.model.errors import LockBusy, StateError
from reconciler.model.history import HistoryLine
from reconciler.model.ids import AppName
from reconciler.model.release import KnownGood
from reconciler.schemas import DOCUMENTS, all_schemas
from reconciler.state import files, records
from reconciler.state.alerts import AlertStore
from reconciler.state.canonicals import CanonicalStore
from reconciler.state.history import HistoryFile
from reconciler.state.locks import Locks
from reconciler.state.record_store import RecordStore
from tests.builders import NOW, journal, known

APP = AppName("notes")


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    tmp_path.chmod(0o750)
    return RecordStore(tmp_path)


def test_what_is_written_is_read_and_private(store: RecordStore, tmp_path: Path) -> None:
    store.put_known_good(known())
    store.put_journal(journal())
    assert store.known_good(APP) == known()
    assert store.journal(APP) == journal()
    assert (tmp_path / APP / "last_good").read_text() == "1.0.0+5.0.0\n"
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / APP).iterdir()}
    assert modes == {0o600}
    assert (tmp_path / APP).stat().st_mode & 0o777 == 0o700
    store.close_journal(APP)
    assert store.journal(APP) is None


def test_no_damage_to_a_record_is_ever_taken_for_good_or_reset(store: RecordStore, tmp_path: Path) -> None:
    store.put_known_good(known())
    path = tmp_path / APP / "known_good.json"
    good = path.read_bytes()
    original = json.loads(good)
    damaged = [good[:cut] for cut in range(0, len(good) - 1, 7)]
    damaged += [good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :] for at in range(0, len(good), 5)]
    damaged += [b"", b"\0" * 100, b"[]", b"null", b"\xef\xbb\xbf" + good, b'{"schema_version": 1e400}', b"{}"]
    damaged += [
        good.replace(b'"schema_version": 1', b'"schema_version": 2'),
        good.replace(b'"app"', b'"app": 1, "app"'),
    ]
    refused = 0
    for raw in damaged:
        path.write_bytes(raw)
        try:
            found = RecordStore(tmp_path).known_good(APP)
        except StateError:
            refused += 1
            assert path.read_bytes() == raw, "it must stay where it is"
            continue
        # A flipped bit may hit a value that cannot be told from a good one; never a reset.
        assert found is not None
        assert found.model_dump(mode="json") != {} and set(json.loads(raw)) == set(original)
    assert refused > len(damaged) * 0.6


@pytest.mark.parametrize("kind", ["symlink", "folder", "other app"])
def test_foreign_records_are_refused(store: RecordStore, tmp_path: Path, kind: str) -> None:
    store.put_known_good(known())
    path = tmp_path / APP / "known_good.json"
    content = path.read_text()
    path.unlink()
    if kind == "symlink":
        (tmp_path / "elsewhere").write_text(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text(content.replace('"app": "notes"', '"app": "other"'))
    with pytest.raises(StateError):
        RecordStore(tmp_path).known_good(APP)


def test_a_newer_schema_says_so(tmp_path: Path) -> None:
    path = tmp_path / "known_good.json"
    path.write_text('{"schema_version": 7}')
    with pytest.raises(StateError, match="newer than 1"):
        records.read(path, KnownGood)


def test_a_state_root_that_others_could_change_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StateError, match="writable by others"):
        files.check_root(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(StateError, match="symlink"):
        files.check_root(link)


def line(op: str) -> HistoryLine:
    return HistoryLine(
        ts=NOW, op_id=op, app=APP, action="upgrade", result="upgraded:a->b", elapsed_seconds=1, actor="t"
    )


def test_history_has_one_line_per_operation_and_survives_a_torn_tail(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history.jsonl")
    history.append(line("one"))
    history.append(line("one"))
    with history.path.open("ab") as out:
        out.write(b'{"schema_version":1,"op_id":"torn')
    history.append(line("two"))
    assert [found.op_id for found in history.lines()] == ["one", "two"]
    assert history.path.read_bytes().endswith(b"\n")
    assert b"torn" in (tmp_path / "history.jsonl.torn").read_bytes()
    assert history.path.stat().st_mode & 0o777 == 0o640


def alert(fingerprint: str = "f", *, after_s: float = 0, **changes: object) -> Alert:
    at = NOW + timedelta(seconds=after_s)
    fields = {"app": APP, "reason": "held-major", "severity": Severity.WARNING, "fingerprint": fingerprint}
    return Alert.model_validate({**fields, "first_at": at, "last_at": at, "evidence": ("e",), **changes})


def test_one_alert_per_condition_updated_reminded_resolved(tmp_path: Path) -> None:
    folder = AlertStore(tmp_path / "alerts")
    folder.prepare()
    folder.raise_(alert())
    [(path, _)] = folder.open()
    assert path.name.endswith("-notes-held-major.json")
    seen = []
    for after_s, evidence in ((60, "e"), (90_000, "e"), (90_001, "new"), (90_002, "new")):
        folder.raise_(alert(after_s=after_s, evidence=(evidence,)))
        [(again, found)] = folder.open()
        assert (again, found.first_at, found.last_at) == (path, NOW, NOW + timedelta(seconds=after_s))
        seen.append((found.count, found.told))
    assert seen == [(2, 1), (3, 2), (4, 3), (5, 3)], "counted each time; told for a reminder and a new detail"
    folder.count_on(APP, ["f"], NOW + timedelta(seconds=90_060))
    assert [(found.count, found.told) for _, found in folder.open()] == [(6, 3)]
    folder.resolve(APP, ["other"])
    assert folder.open() == []
    assert [found.resolution for _, found in folder.archived()] == ["resolved"]


def test_an_acknowledged_condition_stays_quiet_until_it_ended_once(tmp_path: Path) -> None:
    folder = AlertStore(tmp_path / "alerts")
    folder.prepare()
    folder.raise_(alert())
    folder.acknowledge(folder.open()[0][0].name, NOW)
    folder.raise_(alert(after_s=60))
    assert folder.open() == []
    folder.resolve(APP, [])
    folder.raise_(alert(after_s=120))
    assert len(folder.open()) == 1
    with pytest.raises(StateError, match="no such open alert"):
        folder.acknowledge("nothing", NOW)


@pytest.mark.root
@pytest.mark.usefixtures("as_root")
def test_an_alert_can_be_written_on_a_full_disk_and_nothing_is_torn(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0750", "tmpfs", small], check=True)
    try:
        store, folder = RecordStore(small), AlertStore(small / "alerts")
        folder.prepare()
        store.put_known_good(known())
        with pytest.raises(OSError, match="No space left"), (small / "fill").open("wb") as fill:
            while True:
                fill.write(b"x" * 4096)
                fill.flush()
        with pytest.raises(OSError, match="No space left"):
            store.put_known_good(known("9.9.9+9"))
        assert RecordStore(small).known_good(APP) == known()
        assert list((small / APP).glob(".*.tmp")) == []
        folder.raise_(alert())
        assert len(AlertStore(small / "alerts").open()) == 1
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    locks = Locks(tmp_path, lambda: NOW)
    held = locks.acquire(APP, "ci-warm test")
    with pytest.raises(LockBusy, match=r"notes.lock is held by ci-warm test \(pid \d+"):
        locks.acquire(APP, "another")
    held.release()
    child = os.fork()
    if child == 0:
        locks.acquire(APP, "child")
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    locks.acquire(APP, "after").release()
    assert (tmp_path / "notes.lock").exists()


def test_schemas_on_disk_are_those_of_the_models() -> None:
    folder = Path(__file__).parent.parent.parent / "state-schema"
    on_disk = {path.name.removesuffix(".schema.json"): path.read_text() for path in folder.glob("*.json")}
    assert on_disk == all_schemas(), "run: ci-warm schema --write state-schema"
    assert set(DOCUMENTS) < set(on_disk)
    # A bounded count of every letter of Unicode costs each process that reads such a record some 18 MiB.
    patterns = [line for text in on_disk.values() for line in text.splitlines() if '"pattern": ' in line]
    assert [line for line in patterns if r"\\w" in line] == []


def test_two_runs_that_end_together_both_leave_their_green(tmp_path: Path) -> None:
    folder, url = CanonicalStore(tmp_path), "https://git.test/notes.git"

    def passed(version: str) -> None:
        green = Green(version=version, commit="c" * 40, kind="release", run=f"run-{version}", at=NOW)
        folder.change_greens(url, lambda greens: base.remember(greens, green))

    other = threading.Thread(target=passed, args=("1.0.1+5.0.1",))

    def slowly(greens: Greens) -> Greens:
        other.start()
        other.join(0.3)  # it would be done by now if it could come in between
        green = Green(version="1.0.0+5.0.0", commit="d" * 40, kind="release", run="run-first", at=NOW)
        return base.remember(greens, green)

    folder.change_greens(url, slowly)
    other.join()
    assert set(folder.greens(url).releases) == {"1.0.0+5.0.0", "1.0.1+5.0.1"}
