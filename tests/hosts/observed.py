"""What can be seen of a host of the tests: its records, its data, what its app answers, what is left on its engine."""

import hashlib
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import doctor
from reconciler.model.alert import Alert
from reconciler.state.alerts import AlertStore
from tests.hosts.program import Program


@dataclass
class Observed:
    """Read anew at each call. `port`: where the app answers; `suffix`: how the stacks of this host's runs end."""

    program: Program
    port: int
    suffix: str

    @property
    def _state(self) -> Path:
        return self.program.state

    @property
    def _stack(self) -> str:
        return str(self.program.build().specs[0].stack_name)

    def data(self) -> Path:
        """Where the app's volume lies."""
        engine = self.program.build().ports.engine
        return Path(next(iter(engine.observe_volumes([f"{self._stack}_data"]).values())).path)

    def digest(self) -> str:
        """A digest of every byte, name, mode and owner in the volume; times too."""
        total = hashlib.sha256()
        root = self.data()
        for path in [root, *sorted(path for path in root.rglob("*") if path.name != ".fence")]:
            found = path.lstat()
            total.update(f"{path.relative_to(root)} {found.st_mode} {found.st_uid} {found.st_mtime_ns}".encode())
            total.update(path.read_bytes() if path.is_file() else b"")
        return total.hexdigest()

    def notes(self) -> str:
        """The notes as they lie in the volume."""
        return (self.data() / "notes.txt").read_text()

    def answer(self, path: str = "/") -> str:
        """What the running app says."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as peer:
            peer.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            found = b""
            while part := peer.recv(4096):
                found += part
        return found.partition(b"\r\n\r\n")[2].decode()

    def heard(self) -> str:
        """What the app says; '' while it does not answer."""
        try:
            return self.answer()
        except OSError:
            return ""

    def alerts(self) -> list[Alert]:
        """The alerts that are open."""
        return [alert for _, alert in AlertStore(self._state / "alerts").open()]

    def history(self) -> list[str]:
        """The results of all passes and changes, oldest first."""
        return [line.result for line in self.program.build().history.lines()]

    def known(self) -> str:
        """The version of the app that is known-good."""
        return (self._state / self.program.app / "last_good").read_text().strip()

    def canonical(self) -> bytes:
        """What is on record of the canonical, with its snapshot: both must not change by themselves."""
        folder = self._state / self.program.app
        names = ("canonical.json", "snapshot/manifest.json")
        return b"".join((folder / name).read_bytes() for name in names if (folder / name).exists())

    def log(self) -> list[dict[str, Any]]:
        """What the daemon said, line by line."""
        lines = self.program.daemon_log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def left(self) -> list[str]:
        """What is on the engine of any stack but the canonical's volumes; empty when every run was tidy."""
        world = self.program.build().ports.engine.look()
        mine = [name for name in world.stacks if name.endswith(self.suffix) or name == self._stack]
        found = [f"services of {name}" for name in mine if world.stacks[name].services]
        return found + [f"volume {name}" for name in world.volumes if f"{self.suffix}_" in name]

    def check(self) -> None:
        """What must hold at the end of every test."""
        found = [
            f"{f.invariant} {f.path}: {f.message}"
            for f in doctor.examine(self._state, deep=True)
            if f.severity != "note"
        ]
        assert found == []
        app = self.program.build()
        volumes = app.ports.engine.observe_volumes([f"{spec.stack_name}_data" for spec in app.specs]).values()
        assert [v.name for v in volumes if (Path(v.path) / "OVERLAP").exists()] == [], "two writers at once (I5)"
