"""`approve`, `retry`, `suspend`, `resume`, `undeploy`, `rollback`. Effects: as `engine.operate` says."""

from typing import Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import AppArgument, JsonFlag, ReasonOption, WaitFlag, YesFlag


def approve(
    app: AppArgument,
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION", help="exactly this version, e.g. 11.0.0+27.0.0", autocompletion=names.versions
        ),
    ],
    reason: ReasonOption,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Let one version through its holds once: major, manual-migration, untested and the like (docs/operate.md)."""
    from reconciler.engine.operate import approve as use_case

    with common.change("approve", app):
        done = use_case.approve(common.context(common.app(), app), version, reason, wait_s=wait)
    if json:
        from reconciler.model.printed import Approved

        entry = done.approval
        common.print_json(
            Approved(app=app, version=version, reason=reason, by=entry.actor, at=entry.at, notes=done.doubts)
        )
        return
    for text in done.doubts:
        typer.echo(f"note: {text}", err=True)
    common.say(f"approved: {app} {version}, once; the next pass takes it unless something else holds")


def retry(app: AppArgument, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """Forget why releases failed here, so that the next pass tries again."""
    from reconciler.engine.operate import retry as use_case

    with common.change("retry", app):
        count = use_case.retry(common.context(common.app(), app), wait_s=wait)
    if json:
        from reconciler.model.printed import Retried

        common.print_json(Retried(app=app, forgotten=count))
        return
    common.say(f"{app}: {count} quarantined releases forgotten; the next pass tries again")


def suspend(
    app: AppArgument,
    reason: ReasonOption,
    until: Annotated[
        str | None, typer.Option("--until", help="2026-12-24T18:00 (UTC) or a duration like 2h, 3d")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="nothing is healed or brought up either")] = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Take no release until resumed or until a time; what runs is still kept running."""
    from reconciler.engine.operate import suspend as use_case

    with common.change("suspend", app):
        context = common.context(common.app(), app)
        ends = use_case.parse_until(until, context.ports.clock.now()) if until is not None else None
        entry = use_case.suspend(context, reason, ends, everything=everything, wait_s=wait)
    if json:
        from reconciler.model.printed import Suspended

        more = {"app": app, "by": entry.actor}
        common.print_json(Suspended.model_validate({**entry.model_dump(exclude={"actor"}), **more}))
        return
    common.say(f"{app}: suspended {f'until {ends:%Y-%m-%d %H:%M} UTC' if ends else 'until resumed'}")


def resume(app: AppArgument, wait: WaitFlag = 0.0, json: JsonFlag = False) -> None:
    """End a suspension or an undeploy; on a converged app that changes nothing."""
    from reconciler.engine.operate import suspend as use_case

    with common.change("resume", app):
        resumed = use_case.resume(common.context(common.app(), app), wait_s=wait)
    if json:
        from reconciler.model.printed import Resumed

        common.print_json(Resumed(app=app, resumed=resumed))
        return
    common.say(f"{app}: {'resumed' if resumed else 'was not suspended'}")


def undeploy(
    app: AppArgument, reason: ReasonOption, yes: YesFlag = False, wait: WaitFlag = 0.0, json: JsonFlag = False
) -> None:
    """Take a live app's services down, and hold it down until `resume`. Its data stays."""
    from reconciler.engine.operate import undeploy as use_case

    with common.change("undeploy", app):
        context = common.context(common.app(), app)
        done = use_case.undeploy(context, reason, common.confirmer(yes=yes), wait_s=wait)
    if done is None:
        common.refuse("undeploy", app)
    if json:
        from reconciler.model.printed import Undeployed

        common.print_json(Undeployed(app=app, **common.fields(done)))
    elif done.problem is None:
        common.say(f"{app}: {done.version} is down until ci-warm resume {app}; its data stays")
    if done.problem is not None:
        again = f"it is held down; ci-warm undeploy {app} goes on"
        common.stop(common.FAILED, f"error: {app} is not down yet: {done.problem}; {again}")


def rollback(
    app: AppArgument,
    reason: ReasonOption,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="only if the way back leads there; default: wherever")
    ] = None,
    yes: YesFlag = False,
    wait: WaitFlag = 0.0,
    json: JsonFlag = False,
) -> None:
    """Go back to the version before, with its data. What was written since then is set aside."""
    from reconciler.engine.operate import rollback as use_case

    with common.change("rollback", app):
        context = common.context(common.app(), app)
        outcome = use_case.rollback(context, reason, common.confirmer(yes=yes), to=to, wait_s=wait)
    if outcome is None:
        common.refuse("rollback", app)
    if json:
        from reconciler.model.printed import RolledBack

        result, evidence = str(outcome.result), tuple(outcome.evidence)
        common.print_json(RolledBack(app=app, result=result, evidence=evidence, op_id=outcome.op_id))
    else:
        common.say(f"RECONCILE RESULT: {app} {outcome.result}")
    if outcome.result.kind != "rolled-back":
        common.stop(common.FAILED, "\n".join(outcome.evidence))
