"""Where an app's snapshot lies, and what is made on the way to one. Effects: removes what earlier tries left."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import StateError
from reconciler.model.ids import AppName, is_name
from reconciler.state import removal

PARTIAL, DRILL = ".snapshot.partial", ".drill"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Below the state root."""

    root: Path

    def folder(self, app: AppName) -> Path:
        """Where the app's snapshot lies."""
        if not is_name(app):
            raise StateError(app, "is not an app name")
        return self.root / app / "snapshot"

    def tries(self, app: AppName, name: str) -> list[Path]:
        """What tries of that name left."""
        return sorted(self.folder(app).parent.glob(f"{name}*"))

    def clear(self, app: AppName, name: str) -> Path:
        """Where a new try can be built: what an old one left goes, or is built around."""
        left = [path for path in self.tries(app, name) if removal.try_to_remove(path) is not None]
        path = self.folder(app).with_name(name)
        return path.with_name(f"{name}.{secrets.token_hex(3)}") if path in left else path
