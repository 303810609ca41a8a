"""A plan is saved, and done later only if nothing that it rests on has moved. Effects: one file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from reconciler.core.live import plan_mark
from reconciler.engine.operate.plan import PlanRow
from reconciler.model.errors import ActError, UsageError
from reconciler.model.plan_file import PlanFile, PlannedStep
from reconciler.state import files, records


def save(path: Path, rows: Sequence[PlanRow], now: datetime, actor: str) -> None:
    """Write the plan in one rename.

    Raises:
        UsageError: the record of an app cannot be read, so there is no plan for it.
        OSError: it cannot be written.
    """
    if not rows:
        raise UsageError("there is no app, so there is nothing to save")
    blind = [row.app for row in rows if not row.mark]
    if blind:
        raise UsageError(f"{', '.join(blind)}: cannot be planned for, so there is nothing to save")
    steps = tuple(
        PlannedStep(app=row.app, action=row.action, to_version=row.target, rests_on=dict(row.mark)) for row in rows
    )
    files.write_atomic(path, records.dump(PlanFile(at=now, by=actor, apps=steps)))


def load(path: Path) -> PlanFile:
    """Read a plan.

    Raises:
        UsageError: it is not there, or no plan.
    """
    try:
        return records.parse(path.read_bytes(), PlanFile)
    except FileNotFoundError as exc:
        raise UsageError(f"{path}: there is no such plan") from exc
    except ValueError as exc:
        raise UsageError(f"{path}: is no plan of ci-warm plan --out ({str(exc).splitlines()[0]})") from exc


def refuse_if_moved(saved: PlanFile, rows: Sequence[PlanRow]) -> None:
    """Compare what the plan rests on with how it is now.

    Raises:
        ActError: something moved; nothing was touched.
    """
    now = {row.app: row.mark for row in rows}
    moved = [
        f"{step.app}: {text}"
        for step in saved.apps
        for text in plan_mark.find_moved(step.rests_on, now.get(step.app, {}))
    ]
    if moved:
        raise ActError(f"refused, nothing touched: since the plan of {saved.at:%Y-%m-%d %H:%M} UTC {'; '.join(moved)}")
