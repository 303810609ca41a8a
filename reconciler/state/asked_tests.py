"""`asked/`: tests that somebody waits for; they survive the daemon. Effects: files in the state root."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from reconciler.model.asked_test import AskedTest
from reconciler.model.errors import StateError
from reconciler.model.request import REQUEST_ID
from reconciler.state import files, records

_WHY = 500
_MOST = 200
"""More are not kept: whoever asks for that many does not wait for each."""


class AskedTests:
    """One file for each, root's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, asked: AskedTest) -> None:
        """Keep it, or what became of it; OSError if it cannot be written."""
        files.make_folder(self._folder)
        files.write_atomic(self._path(asked.id), records.dump(asked))

    def refuse(self, request: str, why: str) -> None:
        """Say why nothing is tested, if anybody waits for that request; OSError if it cannot be written.

        The test's own process says it, in a file beside the record, which is the daemon's alone to write.
        """
        if re.fullmatch(REQUEST_ID, request) and self._path(request).exists():
            files.write_atomic(self._why(request), why[:_WHY].encode(errors="replace"))

    def drop(self, asked: AskedTest) -> None:
        """It needs nothing more."""
        self._path(asked.id).unlink(missing_ok=True)
        self._why(asked.id).unlink(missing_ok=True)

    def list(self) -> Sequence[AskedTest]:
        """All of them, the oldest first; one that cannot be read is left out, and stays for people to look at."""
        if not self._folder.is_dir():
            return []
        found = []
        for name in files.list_folder(self._folder, ".json"):
            if re.fullmatch(REQUEST_ID, name.removesuffix(".json")):
                with contextlib.suppress(StateError):
                    asked = records.read(self._folder / name, AskedTest)
                    if asked is not None:
                        found.append(self._with_why(asked))
        return sorted(found, key=lambda asked: asked.at)

    def is_full(self) -> bool:
        """Say whether no more are kept."""
        return self._folder.is_dir() and len(files.list_folder(self._folder, ".json")) >= _MOST

    def _with_why(self, asked: AskedTest) -> AskedTest:
        try:
            return asked.model_copy(update={"why": self._why(asked.id).read_text(errors="replace")})
        except OSError:
            return asked

    def _why(self, request: str) -> Path:
        return self._folder / f"{request}.why"

    def _path(self, request: str) -> Path:
        return self._folder / f"{request}.json"
