"""A state root that version 0.1 wrote, before its code was ordered by subjects, reads the same now."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.alert import Alert
from reconciler.model.base import Record
from reconciler.model.canonical import Canonical, Greens, InFlight, Promotion, Use
from reconciler.model.history import HistoryLine
from reconciler.model.ids import AppName
from reconciler.model.journal import Journal, Step
from reconciler.model.memory import Memory
from reconciler.model.published import StatusReport
from reconciler.model.release import Bundle, KnownGood
from reconciler.model.request import Request
from reconciler.model.snapshot import DrillRecord, SnapshotManifest
from reconciler.model.sweep import Sweep
from reconciler.model.testrun import Run
from reconciler.node.snapshots.store import FolderSnapshots
from reconciler.state import records
from reconciler.state.alerts import AlertStore
from reconciler.state.history import HistoryFile
from reconciler.state.record_store import RecordStore

ROOT = Path(__file__).parent / "written_by_0_1"
KINDS: list[tuple[str, type[Record]]] = [
    ("*/known_good.json", KnownGood),
    ("*/memory.json", Memory),
    ("*/journal.json", Journal),
    ("*/drill.json", DrillRecord),
    ("*/snapshot/manifest.json", SnapshotManifest),
    ("*/releases/*.json", Bundle),
    ("*/canonical.json", Canonical),
    ("*/promotion.json", Promotion),
    ("*/inflight.json", InFlight),
    ("*/use.json", Use),
    ("green/*.json", Greens),
    ("runs/*/run.json", Run),
    ("alerts/*.json", Alert),
    ("alerts/seen/*.json", Alert),
    ("requests/*.json", Request),
    ("sweeps/*.json", Sweep),
    ("status.json", StatusReport),
]
LATER = {
    "known_good.json": {"bake_until", "baked"},
    "journal.json": {"bake_s", "found_data", "killed", "log", "remarks", "sent", "unseen_stop"},
    "manifest.json": {"killed", "slack_bytes"},
    "history.jsonl": {"found_data", "log"},
    "run.json": {"requests"},
    "status.json": {"by", "known_good_at", "node", "snapshot"},
    "2026-11-25.json": {"known_good_at", "node", "snapshot"},
    "seed-canon.json": {"forge", "head", "id", "member", "reason", "until", "version"},
}
"""What records have got since then."""
FILES = [(path, kind) for pattern, kind in KINDS for path in sorted(ROOT.glob(pattern))]


def test_every_kind_of_file_is_among_them() -> None:
    assert [pattern for pattern, _ in KINDS if not list(ROOT.glob(pattern))] == []
    assert {path for path, _ in FILES} == set(ROOT.rglob("*.json"))


@pytest.mark.parametrize(("path", "kind"), FILES, ids=[str(path.relative_to(ROOT)) for path, _ in FILES])
def test_a_record_is_read_and_written_again_as_it_was(path: Path, kind: type[Record]) -> None:
    found = records.read(path, kind)
    assert found is not None
    before = json.loads(path.read_bytes())
    later = LATER.get(path.name, {"told", "told_at"} if kind is Alert else set())
    assert _without(json.loads(records.dump(found)), before, later) == before


def _without(written: Any, before: Any, later: set[str]) -> Any:
    """What is written now, without those of the `later` fields that were not there before, at any depth."""
    if isinstance(written, dict) and isinstance(before, dict):
        kept = {key: value for key, value in written.items() if key in before or key not in later}
        return {key: _without(value, before.get(key), later) for key, value in kept.items()}
    if isinstance(written, list) and isinstance(before, list) and len(written) == len(before):
        return [_without(*both, later) for both in zip(written, before, strict=True)]
    return written


def test_history_reads_line_by_line_as_it_was() -> None:
    lines = list(HistoryFile(ROOT / "history.jsonl").lines())
    written = [json.loads(line) for line in (ROOT / "history.jsonl").read_text().splitlines()]
    assert [
        {k: v for k, v in json.loads(line.model_dump_json(by_alias=True)).items() if k not in LATER["history.jsonl"]}
        for line in lines
    ] == written
    assert all(isinstance(line, HistoryLine) for line in lines) and len(lines) >= 8


def test_the_stores_find_what_belongs_together() -> None:
    store = RecordStore(ROOT)
    known = store.known_good(AppName("notes"))
    assert known is not None and store.bundle(AppName("notes"), known.release.bundle).version == known.release.version
    journal = store.journal(AppName("notes"))
    assert journal is not None and journal.step is Step.BACK_RESTORE and journal.marks["app"].version_index == 7
    assert len(AlertStore(ROOT / "alerts").open()) == 3
    assert FolderSnapshots(ROOT).verify(AppName("notes")) == ()
