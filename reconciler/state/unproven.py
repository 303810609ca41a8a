"""`unproven/`: requests of who may ask only if the forge finds them in a team. Effects: files in the state root."""

import contextlib
import re
import time
from collections.abc import Sequence
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.model.request import REQUEST_ID, Request
from reconciler.state import files, records

_MOST = 100
"""Anybody can comment: so many are asked about, and the rest is refused."""


class UnprovenRequests:
    """One file for each, root's alone; they survive the daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, request: Request) -> bool:
        """Keep one; False: too many are kept. OSError if it cannot be written."""
        files.make_folder(self._folder)
        if len(files.list_folder(self._folder, ".json")) >= _MOST:
            return False
        files.write_atomic(self._path(request), records.dump(request))
        return True

    def list(self) -> Sequence[tuple[Request, float]]:
        """All of them, and for how many seconds they wait; what cannot be read is not there."""
        found = []
        for name in files.list_folder(self._folder, ".json") if self._folder.is_dir() else []:
            if re.fullmatch(REQUEST_ID, name.removesuffix(".json")):
                with contextlib.suppress(StateError, OSError):
                    path = self._folder / name
                    request = records.read(path, Request)
                    if request is not None:
                        found.append((request, time.time() - path.stat().st_mtime))
        return found

    def drop(self, request: Request) -> None:
        """It was decided."""
        self._path(request).unlink(missing_ok=True)

    def _path(self, request: Request) -> Path:
        return self._folder / f"{request.id}.json"
