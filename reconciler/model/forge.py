"""What a forge shows beside a commit. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class CommitStatus:
    """`context`: which of a commit's statuses it is; `link`: '' without a page."""

    commit: str
    state: Literal["pending", "success", "failure", "error"]
    context: str
    text: str
    link: str = ""
