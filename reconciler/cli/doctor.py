"""`doctor`. Effects: reads; `--repair` rewrites what is derived."""

from typing import Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="also read every snapshot back")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="rewrite derived files such as last_good")] = False,
    json: JsonFlag = False,
) -> None:
    """Check the invariants on what lies on disk, and that Engine and tools fit. Exit 1 on a finding.

    Shares no code with what wrote the files.
    """
    from reconciler import doctor_tools
    from reconciler.doctor import examine
    from reconciler.state import specs

    common.check_config()
    with common.errors():
        findings = examine(common.OPTIONS.state, deep=deep, repair=repair)
        settings = specs.read_settings(common.OPTIONS.config)
        if settings.engine == "swarm":
            findings += doctor_tools.examine(settings.docker_host)
    bad = [finding for finding in findings if finding.severity != "note"]
    if json:
        rows = [
            {"invariant": f.invariant, "severity": f.severity, "path": f.path, "message": f.message} for f in findings
        ]
        from reconciler.model.printed import Examined

        common.print_json(Examined.model_validate({"ok": not bad, "findings": rows}))
    else:
        for finding in findings:
            common.say(f"{finding.severity}: {finding.invariant}: {finding.path}: {finding.message}")
        if not bad:
            common.say("nothing found")
    if bad:
        raise typer.Exit(common.FAILED)
