"""Files of strangers, handed out to be kept and not to be shown. Called by API and pages. No effects."""

from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse


def make_download(file: BinaryIO, path: str) -> Response:
    """A recipe's file, which may be a page with scripts; it is closed when it was sent."""
    name = path.rpartition("/")[2]
    # Only what is plain in a header; the other form has the whole name.
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    kept = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"

    def parts() -> Iterator[bytes]:
        with file:
            while part := file.read(1 << 16):
                yield part

    return StreamingResponse(parts(), media_type="application/octet-stream", headers={"content-disposition": kept})
