"""JSON Schema of every file we read or write, made from the models. Pure."""

import json

from pydantic import BaseModel

from reconciler.model.alert import Alert
from reconciler.model.app import AppSpec
from reconciler.model.base import Record
from reconciler.model.canonical import Canonical, Greens, InFlight, Promotion, Use
from reconciler.model.history import HistoryLine
from reconciler.model.journal import Journal
from reconciler.model.lock import LockHolder
from reconciler.model.memory import Memory
from reconciler.model.published import StatusReport
from reconciler.model.release import Bundle, KnownGood
from reconciler.model.request import Reply, Request
from reconciler.model.settings import Settings
from reconciler.model.snapshot import DrillRecord, SnapshotManifest
from reconciler.model.sweep import Sweep
from reconciler.model.testrun import Run

DOCUMENTS: dict[str, type[Record]] = {
    "known_good": KnownGood,
    "memory": Memory,
    "journal": Journal,
    "history_line": HistoryLine,
    "alert": Alert,
    "snapshot_manifest": SnapshotManifest,
    "status": StatusReport,
    "bundle": Bundle,
    "lock_holder": LockHolder,
    "reply": Reply,
    "request": Request,
    "drill": DrillRecord,
    "sweep": Sweep,
    "run": Run,
    "canonical": Canonical,
    "promotion": Promotion,
    "use": Use,
    "inflight": InFlight,
    "green": Greens,
}
"""Every file format we promise, by the name of its JSON Schema."""


def all_schemas() -> dict[str, str]:
    """Name -> schema text, ending in a newline."""
    models: dict[str, type[BaseModel]] = {**DOCUMENTS, "app": AppSpec, "config": Settings}
    return {
        name: json.dumps(model.model_json_schema(by_alias=True), indent=1, sort_keys=True) + "\n"
        for name, model in sorted(models.items())
    }
