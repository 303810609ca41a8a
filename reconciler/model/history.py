"""How operations ended, a line each. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class HistoryLine(Record):
    """One line of `history.jsonl` per terminal outcome, keyed by `op_id`."""

    schema_version: Literal[1] = 1
    ts: datetime
    op_id: str
    app: str
    action: str
    from_version: str | None = Field(None, alias="from")
    to_version: str | None = Field(None, alias="to")
    commit: str | None = None
    result: str
    elapsed_seconds: float
    phases: dict[str, float] = Field(default_factory=dict)
    actor: str
    message: str = ""
    found_data: bool = Field(False, description="a first deploy that began on data of unknown origin")
    log: str = Field("", description="below the state root: what the failed release's containers said last")
