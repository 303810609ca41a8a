"""What commands print with `--json`, where it is no record that lies on disk. Pure.

Each document says its `schema_version`; `ci-warm schema` has a JSON Schema of each.
"""

from typing import Literal

from reconciler.model.base import Record


class Printed(Record):
    """A document on stdout."""

    schema_version: Literal[1] = 1


class DoubtRow(Record):
    """What was not taken over, and the key of the spec that it is about."""

    key: str
    text: str


class Written(Printed):
    """`init`: the files that it wrote."""

    written: tuple[str, ...]


class DraftFile(Record):
    """One spec that was written, and what could not be taken over into it."""

    app: str
    file: str
    not_taken_over: tuple[DoubtRow, ...]


class Drafts(Printed):
    """`init --from-running`, `import abra`."""

    specs: tuple[DraftFile, ...]


class ProblemRow(Record):
    """A mistake in a file; `line` from 1, 0 if it is not known."""

    file: str
    line: int
    key: str
    message: str


class Validated(Printed):
    """`validate`. `warnings`: rightly written, and will not work as it stands on this host."""

    ok: bool
    apps: tuple[str, ...] = ()
    problems: tuple[ProblemRow, ...] = ()
    warnings: tuple[ProblemRow, ...] = ()
