"""Env files, line by line, as templates: nothing is expanded or executed here. No effects: text in, values out.

Called by `state.specs` for recipes and by `state.abra` for the files of another tool.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\([\\$])")
_PROTECTED = "\0"
"""Stands for `\\$` while quotes and their escapes are read; no line of an env file can hold one."""
_SINGLE_QUOTED = re.compile(r"\s*(?:export\s+)?(?:'[^']+'|[^=#\s]+)\s*=\s*'")
_COMMENT = re.compile(r"\s#\s*(.*)$")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One assignment. `template`: for `interpolate.env_value`, in which a dollar sign that is protected is doubled.

    `written`: the whole line; `comment`: what follows the value.
    """

    line: int
    name: str
    template: str
    written: str
    comment: str

    @property
    def is_literal(self) -> bool:
        """Whether nothing in it is expanded."""
        return _SINGLE_QUOTED.match(self.written) is not None


@dataclass(frozen=True, kw_only=True)
class Other:
    """A line that assigns nothing."""

    line: int
    written: str


def read(text: str) -> Sequence[Variable | Other]:
    """Every line that says something, in order; comments and empty lines are left out."""
    from dotenv.parser import parse_stream

    plain = text.replace(_PROTECTED, "\ufffd")
    escaped = "\n".join(_ESCAPE.sub(lambda found: found[0] if found[1] == "\\" else _PROTECTED, plain).splitlines())
    found: list[Variable | Other] = []
    for one in parse_stream(io.StringIO(escaped)):
        whole = one.original.string
        # What is before it belongs to it as well: lines without anything.
        before = whole[: len(whole) - len(whole.lstrip())].count("\n")
        line, written = one.original.line + before, whole.strip().replace(_PROTECTED, "\\$")
        if one.key is not None and one.value is not None:
            template = _to_template(one.value, whole.lstrip())
            comment = _COMMENT.search(whole.rstrip())
            found.append(
                Variable(
                    line=line,
                    name=one.key,
                    template=template,
                    written=written,
                    comment=comment[1] if comment else "",
                )
            )
        elif one.error or one.key is not None:
            found.append(Other(line=line, written=written))
    return found


def _to_template(value: str, line: str) -> str:
    """Nothing between single quotes is expanded, and a backslash there is one."""
    if _SINGLE_QUOTED.match(line):
        return value.replace(_PROTECTED, "\\$").replace("$", "$$")
    return value.replace(_PROTECTED, "$$")
