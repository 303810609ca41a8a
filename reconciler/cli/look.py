"""`logs` and `wait`: what an app says, and when it is as it should be. Effects: reads, pauses."""

from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import AppArgument, JsonFlag


def logs(
    app: AppArgument,
    failed: Annotated[
        bool, typer.Option("--failed", help="of the last release that failed; its containers are gone")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", min=1, max=10_000, help="so many of each container")] = 50,
    json: JsonFlag = False,
) -> None:
    """Show what the services of an app said last, secrets masked."""
    from reconciler.engine.operate import logs as use_case

    with common.errors():
        read = use_case.read_failed if failed else use_case.read_running
        found = read(common.context(common.app(), app, "logs"), lines)
    if json:
        from reconciler.model.printed import LastWords

        common.print_json(LastWords(app=app, of=found.of, at=found.at, said=dict(found.said)))
        return
    if found.of:
        typer.echo(f"{app} {found.of}, which failed {found.at} UTC", err=True)
    for name, text in found.said.items():
        for line in text.splitlines():
            common.say(f"{name} | {line}")


def wait(
    app: AppArgument,
    wanted: Annotated[str, typer.Option("--for", metavar="WHAT", help="healthy, converged, or a version")],
    timeout: Annotated[str, typer.Option("--timeout", help="a duration like 90s, 10m")] = "10m",
    json: JsonFlag = False,
) -> None:
    """Wait until an app answers, needs nothing, or runs a version. Exit 1 if it does not come to that."""
    from reconciler.engine.operate import wait as use_case

    with common.errors():
        seconds = _seconds(timeout)
        common.note_doing(app, f"waiting until it is {wanted}")
        done = use_case.wait(common.context(common.app(), app, "wait"), wanted, seconds)
    if json:
        from reconciler.model.printed import Waited

        data = {key: value for key, value in common.fields(done).items() if key != "over"}
        common.print_json(Waited.model_validate({"app": app, "wanted": wanted, **data}))
    elif done.reached:
        common.say(f"{app}: {wanted} after {done.took_s:.1f} s ({done.version})")
    if not done.reached:
        why = "it failed here and is in quarantine" if done.over else f"{done.status}, {done.reason}"
        common.stop(common.FAILED, f"error: {app} is not {wanted} after {done.took_s:.1f} s: {why}")


def _seconds(text: str) -> float:
    from reconciler.model.base import parse_duration
    from reconciler.model.errors import UsageError

    try:
        return float(str(parse_duration(text)))
    except ValueError as exc:
        raise UsageError(f"--timeout: {exc}") from exc
