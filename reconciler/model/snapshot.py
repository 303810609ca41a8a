"""What a snapshot is of, and when it was last restored for practice. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class ArchivedVolume(Record):
    """One volume in a snapshot. `index_sha256` seals the entries file, `sha256` the archive.

    `sha256` that begins with `blocks:`: of the digests of its blocks (docs/adr/0022).
    """

    volume: str
    driver: str
    archive: str
    archive_bytes: int
    sha256: str
    index: str
    index_sha256: str
    entries: int
    data_bytes: int = Field(description="bytes that the files store; holes count nothing")
    empty: bool
    slack_bytes: int = Field(0, description="bytes of the archive that no entry needs: comments to a tar")
    sockets: tuple[str, ...] = Field((), description="paths of sockets: listed, not archived")


class SnapshotManifest(Record):
    """`snapshot/manifest.json`: what the snapshot is of, and the seals of its parts."""

    schema_version: Literal[1] = 1
    id: str
    app: str
    stack: str
    version: str
    commit: str
    images: dict[str, str]
    node: str
    created_at: datetime
    op_id: str
    volumes: tuple[ArchivedVolume, ...]
    killed: tuple[str, ...] = Field((), description="services that did not end within their grace and were killed")


class DrillRecord(Record):
    """`drill.json`: the last time that a snapshot was restored for practice, and what was wrong."""

    schema_version: Literal[1] = 1
    app: str
    snapshot: str
    at: datetime
    problems: tuple[str, ...] = ()
