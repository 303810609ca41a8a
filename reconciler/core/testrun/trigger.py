"""What a comment asks for: `!testme` a cold run, `!testme --quick` a quick one, `!testme --stop` neither.

Anything like it is nothing. Pure.
"""

import re

from reconciler.model.testrun import RunMode

WORD = "!testme"
STOP = "--stop"
_CODE = re.compile(r" {4}| {0,3}\t")
"""What Markdown shows as code is a quotation, and asks for nothing."""
_SPACE = re.compile(r"[ \t]+")
"""No other space separates words: one that looks like it may stand in a name."""


def parse(comment: str) -> RunMode | None:
    """Read the first line of a comment, however long the rest; None: it asks for nothing. Case and spelling count."""
    match _words(comment):
        case [first] if first == WORD:
            return RunMode.COLD
        case [first, "--quick"] if first == WORD:
            return RunMode.QUICK
        case _:
            return None


def is_stop(comment: str) -> bool:
    """Say whether it takes back what was asked for."""
    return _words(comment) == [WORD, STOP]


def _words(comment: str) -> list[str]:
    line = _first_line(comment)
    return [] if _CODE.match(line) else [word for word in _SPACE.split(line) if word]


def _first_line(comment: str) -> str:
    return re.split(r"\r?\n", comment.lstrip("\r\n"), maxsplit=1)[0]


def is_near_miss(comment: str) -> bool:
    """Say whether whoever wrote it meant to ask for a test, so that silence would be taken for one."""
    line = _first_line(comment)
    asks = parse(comment) is not None or is_stop(comment)
    return not _CODE.match(line) and WORD in line.casefold() and not asks
