"""A test that somebody asked for and waits for: what is known of it while the daemon comes and goes. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from reconciler.model.base import Record
from reconciler.model.request import COMMIT, REQUEST_ID, ForgePlace
from reconciler.model.testrun import RunMode


class AskedTest(Record):
    """`asked/<id>.json`: kept until its run has ended and the forge was told.

    `head`: the commit that the forge saw at `ref` then, '' if it did not say. `why`: why there is no run; `stopped`:
    nobody wants it any more. `comment`: id of our comment on the forge; `told`: what it says, `status`: what the
    commit's status says, as digests; '' nothing yet.
    """

    schema_version: Literal[1] = 1
    id: str = Field(pattern=rf"^{REQUEST_ID}$")
    app: str
    mode: RunMode
    ref: str | None = None
    by: str = ""
    at: datetime
    forge: ForgePlace | None = None
    head: str = Field("", pattern=rf"^({COMMIT})?$")
    why: str = ""
    stopped: bool = False
    comment: int | None = None
    told: str = ""
    status: str = ""
