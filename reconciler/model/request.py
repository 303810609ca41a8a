"""What a process without privileges asks for. Pure."""

from typing import Literal

from pydantic import Field

from reconciler.model.base import Record


class Request(Record):
    """`requests/<name>.json`: what a process without privileges asks for; the daemon judges it.

    `reconcile`: look at `app` (None = all) now, and fetch its recipe first. `seed`: warm the canonical `app`.
    `test`: what `comment` asks for (`!testme`, `!testme --quick`), for the canonical `app` at `ref`.
    """

    schema_version: Literal[1] = 1
    action: Literal["reconcile", "seed", "test"]
    app: str | None = None
    ref: str | None = Field(None, max_length=200)
    comment: str = Field("", max_length=4096)
    by: str = ""
