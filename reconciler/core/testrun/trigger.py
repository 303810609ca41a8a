"""What a comment asks for: `!testme` a cold run, `!testme --quick` a quick one, anything like it nothing. Pure."""

from reconciler.model.testrun import RunMode

WORD = "!testme"


def parse(comment: str) -> RunMode | None:
    """Read the first line of a comment; None: it asks for nothing. Case and spelling count."""
    words = comment.strip().split("\n", 1)[0].split()
    if not words or words[0] != WORD:
        return None
    match words[1:]:
        case []:
            return RunMode.COLD
        case ["--quick"]:
            return RunMode.QUICK
        case _:
            return None
