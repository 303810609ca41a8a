"""What the daemon has a process of its own do for somebody who asked, and how that ended. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A command of ours. `words`: its arguments; `actor`: for the records; `limit_s` None: it ends by itself."""

    words: tuple[str, ...]
    actor: str
    limit_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class ErrandEnd:
    """How it ended. `code`: of the process, negative: the signal that ended it. `output`, `errors`: cut at 1 MiB."""

    code: int
    output: str
    errors: str
