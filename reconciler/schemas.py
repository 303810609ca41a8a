"""JSON Schema of every file we read or write, made from the models. Pure."""

import json

from pydantic import BaseModel, TypeAdapter

from reconciler.model import printed, printed_runs
from reconciler.model.alert import Alert
from reconciler.model.app import AppSpec
from reconciler.model.asked_test import AskedTest
from reconciler.model.base import Record
from reconciler.model.canonical import Canonical, Greens, InFlight, Promotion, Use
from reconciler.model.history import HistoryLine
from reconciler.model.journal import Journal
from reconciler.model.lock import LockHolder
from reconciler.model.memory import Memory
from reconciler.model.plan_file import PlanFile
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
    "asked_test": AskedTest,
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


_WRITTEN: dict[str, type[BaseModel]] = {"app": AppSpec, "config": Settings}
"""What operators write."""
PRINTED: dict[str, type[object]] = {
    "plan_file": PlanFile,
    "printed_alert": Alert,
    "printed_alert_ack": printed.Acknowledged,
    "printed_alert_relay": printed.AlertTold,
    "printed_alerts": list[printed.AlertRow],
    "printed_approve": printed.Approved,
    "printed_canonical": printed_runs.CanonicalRow,
    "printed_canonical_deploy": printed_runs.CanonicalUp,
    "printed_canonical_warm": printed_runs.CanonicalWarm,
    "printed_canonicals": list[printed_runs.CanonicalRow],
    "printed_doctor": printed.Examined,
    "printed_drafts": printed.Drafts,
    "printed_explain": printed.Explained,
    "printed_gc": printed.Collected,
    "printed_history": list[HistoryLine],
    "printed_history_days": list[printed.Day],
    "printed_history_stats": printed.Figures,
    "printed_init": printed.Written,
    "printed_logs": printed.LastWords,
    "printed_plan": list[printed.PlanLine],
    "printed_preflight": printed.Preflight,
    "printed_realm_reap": printed_runs.RealmsReaped,
    "printed_realms": printed_runs.RealmsFound,
    "printed_reconcile": list[printed.PassRow],
    "printed_reload": printed.Reloaded,
    "printed_resume": printed.Resumed,
    "printed_retry": printed.Retried,
    "printed_rollback": printed.RolledBack,
    "printed_run": printed_runs.RunShown,
    "printed_runs": list[Run],
    "printed_runs_reap": printed_runs.RunsReaped,
    "printed_snapshot": SnapshotManifest,
    "printed_snapshot_drill": DrillRecord,
    "printed_snapshot_export": printed.Exported,
    "printed_snapshot_restore": printed.Restored,
    "printed_snapshot_verify": printed.Verified,
    "printed_snapshots": list[SnapshotManifest],
    "printed_status": StatusReport,
    "printed_suspend": printed.Suspended,
    "printed_sweep": Sweep,
    "printed_undeploy": printed.Undeployed,
    "printed_validate": printed.Validated,
    "printed_wait": printed.Waited,
}
"""What commands print with `--json`, or save."""


def all_schemas() -> dict[str, str]:
    """Name -> schema text, ending in a newline."""
    return dict(sorted((name, schema(name)) for name in (*DOCUMENTS, *_WRITTEN, *PRINTED)))


def schema(name: str) -> str:
    """The schema of one document. What we print is described as it is printed, what we read as it may be written.

    Raises:
        KeyError: no document is named so.
    """
    if name in PRINTED:
        found = TypeAdapter(PRINTED[name]).json_schema(by_alias=True, mode="serialization")
    else:
        found = {**DOCUMENTS, **_WRITTEN}[name].model_json_schema(by_alias=True)
    return json.dumps(found, indent=1, sort_keys=True) + "\n"
