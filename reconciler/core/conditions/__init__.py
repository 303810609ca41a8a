"""Every condition that the operator is told about: one small class each, and nowhere else is a fingerprint made. Pure.

A condition is what stands, not what happened: found again, by whatever path, it has the same fingerprint and so one
alert. Times, durations and counts are never part of it. One module per subject; all are imported from here.
"""

from reconciler.core.conditions.canonical import PromotionFailed, RestoreFailed
from reconciler.core.conditions.change import (
    ChangeAborted,
    ChangeStalled,
    FirstDeployFailed,
    ReleaseRolledBack,
    RollbackFailed,
)
from reconciler.core.conditions.condition import Condition, HostCondition
from reconciler.core.conditions.host import (
    ChangeOrphaned,
    DiskFull,
    EngineUnknown,
    ManyRealms,
    SpecWrong,
    StateDiskFull,
    SweepRed,
    TurnFailed,
)
from reconciler.core.conditions.live import (
    UNHEALTHY,
    DrillFailed,
    Held,
    IngressAway,
    NotWell,
    PassFailed,
    RecipeUnreadable,
    RecordUnreadable,
    RemovalFailed,
    TagMoved,
)
from reconciler.core.conditions.testrun import RunLeftovers, RunLost

__all__ = [
    "UNHEALTHY",
    "ChangeAborted",
    "ChangeOrphaned",
    "ChangeStalled",
    "Condition",
    "DiskFull",
    "DrillFailed",
    "EngineUnknown",
    "FirstDeployFailed",
    "Held",
    "HostCondition",
    "IngressAway",
    "ManyRealms",
    "NotWell",
    "PassFailed",
    "PromotionFailed",
    "RecipeUnreadable",
    "RecordUnreadable",
    "ReleaseRolledBack",
    "RemovalFailed",
    "RestoreFailed",
    "RollbackFailed",
    "RunLeftovers",
    "RunLost",
    "SpecWrong",
    "StateDiskFull",
    "SweepRed",
    "TagMoved",
    "TurnFailed",
]
