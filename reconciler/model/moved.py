"""How far something that takes long has come. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Bytes. `of`: in all, None = not known. `doing`: in words; `over`: it has ended, well or not."""

    app: str
    doing: str
    done: int
    of: int | None
    over: bool = False


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Things: stages of a run, runs of a night. `left_s`: seconds until all are done, None = not known."""

    app: str
    doing: str
    done: int
    of: int
    left_s: float | None = None
    over: bool = False


Amount = Moved | Counted
