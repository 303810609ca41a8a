"""Commands that were refused, on record: one line `aborted` of the history. Effects: that line, if it can be written.

Whatever is wrong with the record, the command ends as it would have without one.
"""

from contextlib import suppress
from datetime import UTC, datetime

from reconciler.cli import common

UNKNOWN = "unknown"
"""Whom a line is about, where what was named is no app."""
CHANGES = frozenset(
    {
        *("reconcile", "approve", "retry", "suspend", "resume", "undeploy", "rollback"),
        *("snapshot create", "snapshot restore"),
        *("canonical seed", "canonical deploy", "canonical undeploy"),
    }
)
"""Commands of which a refusal is on record."""
_LONGEST = 1000


def record(action: str, named: str, why: str) -> None:
    """Add the line. `named`: what was typed where an app belongs."""
    import secrets

    from reconciler.core.redact import Redactor
    from reconciler.model.errors import ReconcilerError
    from reconciler.model.history import HistoryLine
    from reconciler.state.history import HistoryFile

    # No state root is made for a typing error, and exit 2 stays exit 2 where nothing can be written.
    if not common.OPTIONS.state.is_dir():
        return
    now = datetime.now(UTC)
    line = HistoryLine(
        ts=now,
        op_id=f"{now:%Y%m%dT%H%M%SZ}-refused-{secrets.token_hex(4)}",
        app=named if _is_declared(named) else UNKNOWN,
        action=action,
        result="aborted",
        elapsed_seconds=0.0,
        actor=common.actor(),
        message=Redactor().mask(f"{action} {named}".strip() + f": {why}")[:_LONGEST],
    )
    with suppress(OSError, ReconcilerError):
        HistoryFile(common.OPTIONS.state / "history.jsonl", _group()).append(line)


def record_unparsed(path: str, why: str) -> None:
    """Add the line for words that no command takes. `path`: the command as far as it was told, with the program."""
    action = path.partition(" ")[2]
    if action in CHANGES:
        record(action, "", why)


def _is_declared(name: str) -> bool:
    from reconciler.model.errors import ReconcilerError
    from reconciler.state import specs

    try:
        settings = specs.read_settings(common.OPTIONS.config)
        by_file, _ = specs.read_usable(specs.folders(common.OPTIONS.config), settings, {})
    except (OSError, ReconcilerError):
        return False
    return any(spec.name == name for spec in by_file.values())


def _group() -> int | None:
    from reconciler.model.errors import ReconcilerError
    from reconciler.model.settings import Settings
    from reconciler.state import files, specs

    try:
        return files.group_id(specs.read_settings(common.OPTIONS.config).group)
    except (OSError, ReconcilerError):
        return files.group_id(Settings().group)
