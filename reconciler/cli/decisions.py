"""What operators decide: `approve`, `retry`, `suspend`, `resume`, `rollback`. Effects: records; `rollback` acts."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import AppArgument, JsonFlag, ReasonOption, WaitFlag, YesFlag

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.model.ids import AppName
    from reconciler.model.memory import Memory


def approve(
    app: AppArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="exactly this version, e.g. 11.0.0+27.0.0")],
    reason: ReasonOption,
    wait: WaitFlag = 0.0,
) -> None:
    """Let one version through its holds once: major, manual-migration, untested and the like (docs/operate.md)."""
    from reconciler.core.release import versions
    from reconciler.model.errors import UsageError
    from reconciler.model.memory import Approval

    with common.errors():
        if not reason.strip():
            raise UsageError("an approval needs a reason")
        if versions.parse(version) is None:
            raise UsageError(f"{version!r} is not a version like 11.0.0+27.0.0")
        built = common.app()
        spec = built.spec(app)
        with common.locked(built, app, "ci-warm approve", wait):
            memory = built.store.memory(spec.app)
            if version not in memory.tags:
                raise UsageError(f"{app} has no version {version} that ci-warm has seen; see ci-warm explain {app}")
            entry = Approval(version=version, reason=reason, actor=common.actor(), at=built.clock.now())
            others = tuple(a for a in memory.approvals if a.version != version or a.used_at is not None)
            built.store.put_memory(memory.model_copy(update={"approvals": (*others[-49:], entry)}))
    for text in _doubts(built, spec.app, version, memory):
        typer.echo(f"note: {text}", err=True)
    common.say(f"approved: {app} {version}, once; the next pass takes it unless something else holds")


def _doubts(built: "App", app: "AppName", version: str, memory: "Memory") -> list[str]:
    """Why an approval may not do what its giver thinks."""
    from reconciler.core.release import versions

    found = []
    known = built.store.known_good(app)
    have, wanted = versions.parse(known.release.version) if known else None, versions.parse(version)
    if have is not None and wanted is not None and not have < wanted:
        found.append(f"{version} is not newer than {have.text}, which runs; versions never go backwards by themselves")
    if any(entry.version == version for entry in memory.quarantine):
        found.append(f"{version} failed here before and is in quarantine; ci-warm retry {app} lets it be tried again")
    return found


def retry(app: AppArgument, wait: WaitFlag = 0.0) -> None:
    """Forget why releases failed here, so that the next pass tries again."""
    with common.errors():
        built = common.app()
        spec = built.spec(app)
        with common.locked(built, app, "ci-warm retry", wait):
            memory = built.store.memory(spec.app)
            built.store.put_memory(memory.model_copy(update={"quarantine": (), "host_faults": None}))
            journal = built.store.journal(spec.app)
            if journal is not None and (journal.stalled or journal.resumes):
                built.store.put_journal(journal.model_copy(update={"stalled": False, "resumes": 0}))
            built.alerts.resolve(spec.app, [])
    common.say(f"{app}: {len(memory.quarantine)} quarantined releases forgotten; the next pass tries again")


def suspend(
    app: AppArgument,
    reason: ReasonOption,
    until: Annotated[
        str | None, typer.Option("--until", help="2026-12-24T18:00 (UTC) or a duration like 2h, 3d")
    ] = None,
    wait: WaitFlag = 0.0,
) -> None:
    """Take no release until resumed or until a time; what runs is still kept running."""
    from datetime import UTC, datetime

    from reconciler.model.base import parse_duration
    from reconciler.model.errors import UsageError
    from reconciler.model.memory import Suspension

    with common.errors():
        if not reason.strip():
            raise UsageError("a suspension needs a reason")
        built = common.app()
        spec = built.spec(app)
        now = built.clock.now()
        ends = None
        if until is not None:
            try:
                ends = datetime.fromisoformat(until)
                ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
            except ValueError:
                try:
                    ends = now + timedelta(seconds=float(str(parse_duration(until))))
                except (ValueError, OverflowError) as exc:
                    raise UsageError(f"--until {until!r} is neither a time nor a duration") from exc
            if ends <= now:
                raise UsageError(f"--until {until!r} is in the past")
        with common.locked(built, app, "ci-warm suspend", wait):
            entry = Suspension(reason=reason, actor=common.actor(), at=now, until=ends)
            built.store.put_memory(built.store.memory(spec.app).model_copy(update={"suspension": entry}))
    common.say(f"{app}: suspended {f'until {ends:%Y-%m-%d %H:%M} UTC' if ends else 'until resumed'}")


def resume(app: AppArgument, wait: WaitFlag = 0.0) -> None:
    """End a suspension; on a converged app that changes nothing."""
    with common.errors():
        built = common.app()
        spec = built.spec(app)
        with common.locked(built, app, "ci-warm resume", wait):
            memory = built.store.memory(spec.app)
            if memory.suspension is not None:
                built.store.put_memory(memory.model_copy(update={"suspension": None}))
    common.say(f"{app}: {'resumed' if memory.suspension else 'was not suspended'}")


def rollback(
    app: AppArgument, reason: ReasonOption, yes: YesFlag = False, wait: WaitFlag = 0.0, json: JsonFlag = False
) -> None:
    """Go back to the version before, with its data. What was written since then is set aside."""
    from reconciler.engine.live.preflight import way_back_problems
    from reconciler.engine.live.reconcile import roll_back
    from reconciler.engine.release import facts as release_facts
    from reconciler.model.errors import ActError, UsageError

    with common.errors():
        built = common.app()
        context = common.context(built, app, common.actor())
        with common.locked(built, app, "ci-warm rollback", wait):
            facts = release_facts.gather(context, built.ports.engine.look(), None)
            known = facts.known
            if facts.journal is not None:
                raise UsageError(f"{app} has a change under way; ci-warm reconcile {app} finishes it first")
            if known is None or known.fallback is None:
                raise UsageError(f"{app} has nothing to roll back to; see ci-warm preflight {app}")
            problems = way_back_problems(context, known)
            if problems:
                raise ActError(f"refused, nothing touched: {'; '.join(problems)}")
            target = known.fallback.release.version
            with_data = " and its data" if known.fallback.snapshot else ""
            question = f"Roll {app} back from {known.release.version} to {target}{with_data}?"
            if not yes and not typer.confirm(question, err=True):
                common.stop(common.FAILED, "aborted, nothing touched")
            turn = built.ports.locks.turn("upgrade", f"ci-warm rollback {app}")
            try:
                outcome = roll_back(context, facts, reason)
            finally:
                turn.release()
    if json:
        common.print_json({"app": app, "result": outcome.result, "evidence": outcome.evidence, "op_id": outcome.op_id})
    else:
        common.say(f"RECONCILE RESULT: {app} {outcome.result}")
    if not outcome.result.startswith("rolled-back:"):
        common.stop(common.FAILED, "\n".join(outcome.evidence))
