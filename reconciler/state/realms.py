"""`realms/` in the state root: a lock and the credentials of each realm, and this host's mark. Effects: files."""

import dataclasses
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from reconciler.core.host import realm_names
from reconciler.model.errors import StateError
from reconciler.model.ids import RealmName
from reconciler.model.realm import Credentials
from reconciler.state import files
from reconciler.state.locks import HeldLock, Locks


class RealmStore:
    """A lock and the credentials of each realm of ours."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self.folder = files.make_folder(folder)
        self._locks = Locks(folder, now)
        self.owner = self._mark()

    def _mark(self) -> str:
        """Made once. Two hosts that share one Keycloak must not reap each other's realms."""
        path = self.folder / ".owner"
        if not path.exists():
            files.write_atomic(path, f"{secrets.token_hex(8)}\n".encode())
        text = path.read_text().strip()
        if not text.isalnum():
            raise StateError(str(path), "is not the mark of this host; an empty file would make every realm ours")
        return text

    def acquire(self, realm: str, what: str) -> HeldLock:
        """The lock of a realm. LockBusy: its run is alive."""
        return self._locks.acquire(RealmName(realm), what)

    def write(self, realm: str, credentials: Credentials) -> str:
        """Where the credentials lie, readable by us alone."""
        path = self.folder / f"{realm}.json"
        files.write_atomic(path, json.dumps(dataclasses.asdict(credentials), indent=1).encode())
        return str(path)

    def forget(self, realm: str) -> None:
        """Remove credentials and lock of a realm that is gone; idempotent.

        The lock's file stays: unlinking it would give two runs one name's lock.
        """
        (self.folder / f"{realm}.json").unlink(missing_ok=True)

    def known(self) -> Sequence[str]:
        """Realms that something lies here of."""
        return sorted(path.stem for path in self.folder.glob("*.json") if realm_names.is_of_a_run(path.stem))
