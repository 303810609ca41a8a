"""What commands about tests print with `--json`: runs, realms, canonicals. Pure."""

from typing import Literal

from reconciler.model.printed import Printed
from reconciler.model.testrun import Run


class RunShown(Run):
    """`cold`, `quick`, `canonical seed` and `runs show`. `folder`: has the report, logs, artefacts and JUnit file."""

    folder: str


class RealmsFound(Printed):
    """`realm list`."""

    alive: tuple[str, ...]
    dead: tuple[str, ...]
    foreign: tuple[str, ...]


class RealmsReaped(Printed):
    """`realm reap`."""

    dry_run: bool
    removed: tuple[str, ...]
    alive: tuple[str, ...]
    foreign: tuple[str, ...]


class RunsReaped(Printed):
    """`runs reap`."""

    removed: tuple[str, ...]
    alive: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


class CanonicalRow(Printed):
    """`canonical list`, a row each, and `canonical undeploy`."""

    app: str
    status: str
    version: str | None
    commit: str | None
    domain: str
    snapshot: str | None
    bytes: int
    since: str | None
    reason: str


class CanonicalWarm(Printed):
    """`canonical seed --if-cold` of one that is warm."""

    app: str
    result: Literal["warm"] = "warm"


class CanonicalUp(Printed):
    """`canonical deploy`."""

    app: str
    version: str
    domain: str
    stack: str
