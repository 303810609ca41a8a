"""Which release last wrote a volume: a fact of its own, beside the volume and in the records. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class DataStamp(Record):
    """`.ci-warm-data.json` beside a volume's data: the release that was last started on it, or whose data came back.

    `stateful`: the app was declared so when one of the releases wrote it; it stays true.
    """

    schema_version: Literal[1] = 1
    app: str
    volume: str
    version: str
    commit: str
    stateful: bool
    at: datetime
    op_id: str = ""


class DataRecord(Record):
    """`<app>/data.json`: the same in our records: an old copy of either does not go unnoticed."""

    schema_version: Literal[1] = 1
    app: str
    volumes: dict[str, DataStamp] = Field(default_factory=dict, description="volume -> its last stamp")
