"""`alerts list|show|ack|relay`. Effects: reads; `ack` moves a file to seen/."""

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common, names
from reconciler.cli.common import JsonFlag
from reconciler.core.suggest import suggest

if TYPE_CHECKING:
    from reconciler.state.alerts import AlertStore

group = typer.Typer(help="Open alerts: what stands, why, and what clears it.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="file name as listed", autocompletion=names.alerts)]


def _folder() -> "AlertStore":
    from reconciler.state.alerts import AlertStore

    return AlertStore(common.OPTIONS.state / "alerts")


@group.command("list")
def list_(
    seen: Annotated[bool, typer.Option("--seen", help="the acknowledged and resolved ones instead")] = False,
    json: JsonFlag = False,
) -> None:
    """List alerts, oldest first."""
    with common.errors():
        found = _folder().archived() if seen else _folder().open()
    if json:
        from reconciler.model.printed import AlertRow

        common.print_json([AlertRow(name=path.name, **dict(alert)) for path, alert in found])
        return
    if not found:
        # Beside the output: a pipe that counts lines counts none.
        typer.echo("no alert has ended yet" if seen else "no open alerts", err=True)
    rows = [(path.stem, alert.severity, (alert.evidence or ("",))[0][:100]) for path, alert in found]
    common.print_table(("name", "severity", "evidence"), rows)


@group.command()
def show(name: NameArgument, json: JsonFlag = False) -> None:
    """Show one alert whole."""
    with common.errors():
        folder = _folder()
        found = next((a for path, a in (*folder.open(), *folder.archived()) if name in (path.name, path.stem)), None)
    if found is None:
        near = suggest(name, (path.stem for path, _ in folder.open()))
        common.stop(common.USAGE, f"error: no alert is named {name!r}{near}; see ci-warm alerts list")
    if json:
        common.print_json(found)
        return
    common.say(f"{found.severity}: {found.app} {found.reason}")
    if found.to_version:
        common.say(f"from {found.from_version or '-'} to {found.to_version}")
    for text in found.evidence:
        common.say(f"  {text}")
    for version, text in found.notes.items():
        common.say(f"notes of {version}:")
        common.say("\n".join(f"  | {line}" for line in text.splitlines()))
    common.say(f"clears when: {found.clears_when}")
    common.say(
        f"first {found.first_at:%Y-%m-%d %H:%M:%S} UTC, last {found.last_at:%Y-%m-%d %H:%M:%S} UTC, {found.count} times"
    )


@group.command()
def relay(json: JsonFlag = False) -> None:
    """Tell the settings' receivers about new, changed and resolved alerts, each once. Exit 1 if one was not taken."""
    from reconciler.adapters.relay import Relay
    from reconciler.state import specs

    with common.errors():
        common.check_config()
        settings = specs.read_settings(common.OPTIONS.config)
        sent, problems = Relay(_folder(), settings.relay).run()
    if json:
        from reconciler.model.printed import AlertTold

        common.print_json(AlertTold(sent=tuple(message.key for message in sent), problems=tuple(problems)))
    else:
        for message in sent:
            common.say(f"told: {message.title} ({message.key})")
        if not sent and not problems:
            common.say("nothing new to tell")
    if problems:
        common.stop(common.FAILED, "\n".join(f"error: {problem}" for problem in problems))


@group.command()
def ack(name: NameArgument, json: JsonFlag = False) -> None:
    """Acknowledge an alert: it moves to seen/ and stays quiet while its condition stands."""
    from datetime import UTC, datetime

    with common.errors():
        folder = _folder()
        if not any(name in (path.name, path.stem) for path, _ in folder.open()):
            near = suggest(name, (path.stem for path, _ in folder.open()))
            common.stop(common.USAGE, f"error: no open alert is named {name!r}{near}; see ci-warm alerts list")
        alert = folder.acknowledge(name, datetime.now(UTC))
    if json:
        from reconciler.model.printed import Acknowledged

        common.print_json(Acknowledged(name=name, app=alert.app, reason=alert.reason))
    else:
        common.say(f"acknowledged: {alert.app} {alert.reason}")
