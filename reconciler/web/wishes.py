"""Requests to the daemon, and the wait for what came of them. Effects: files in `requests/`; reads `replies/`."""

import asyncio
import re
import secrets
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.model.request import REQUEST_ID, Asked, Reply, Request
from reconciler.state import files, records
from reconciler.state.requests import MAX_REQUESTS, Replies
from reconciler.web.access import Role

_POLL_S = 0.1
_FILE = 0o600
MAY: dict[Role, frozenset[Asked]] = {
    Role.READ: frozenset(),
    Role.CI: frozenset((Asked.RECONCILE, Asked.SEED, Asked.TEST, Asked.STOP)),
    Role.OPERATE: frozenset(Asked) - {Asked.TELL},
}


def is_request(name: str) -> bool:
    """Say whether it has the shape of a request's id."""
    return re.fullmatch(REQUEST_ID, name) is not None


class Wishes:
    """The two folders by which a process without privileges speaks with the daemon."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "requests"
        self._replies = Replies(root / "replies")

    def leave(self, request: Request) -> str:
        """Put a request there; the id of its reply.

        Raises:
            StateError: the folder cannot be written, or too many wait there already.
        """
        if len(files.list_folder(self._folder, ".json")) >= MAX_REQUESTS:
            raise StateError(str(self._folder), "too many requests wait; does the daemon run?")
        # Nobody else learns the id, not even by the file's name: whoever knows it could stand in for the reply.
        name = secrets.token_hex(16)
        try:
            text = records.dump(request.model_copy(update={"id": name}))
            files.write_atomic(self._folder / f"{secrets.token_hex(16)}.json", text, _FILE)
        except OSError as exc:
            raise StateError(str(self._folder), f"cannot be written: {exc.strerror}") from exc
        return name

    def read(self, name: str) -> Reply | None:
        """The reply; None: there is none yet, or no longer."""
        return self._replies.read(name)

    async def wait(self, name: str, seconds: float) -> Reply | None:
        """The same, after some time at most."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (found := self.read(name)) is None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_S)
        return found
