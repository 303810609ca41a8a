"""What the service manager is told: sd_notify(3). Effects: one datagram per call to $NOTIFY_SOCKET, if there is one."""

import os
import socket
from collections.abc import Mapping

from typing_extensions import override

from reconciler.ports.notifier import Notifier

_WORD_S, _TURN_S = 0.2, 5.0
"""How long a word may take to be taken: of what is done, and of what the manager waits for."""


class Systemd(Notifier):
    """sd_notify(3). Without a service manager every call does nothing."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
        # A child inherits the variables, but the watchdog is not its own.
        ours = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1e6 if ours and usec.isdigit() and int(usec) else None
        self._status = ""

    def _send(self, *, patience_s: float = _WORD_S, **fields: str) -> bool:
        """Say whether it was taken."""
        if not self._address:
            return True
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        # An abstract socket is written with @ in the variable and begins with a null byte in the kernel.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # Losing a word to the service manager must never stop the work.
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(patience_s)  # one that reads nothing for a while has a queue that is full
                out.sendto(text.encode(), address)
        except OSError:
            return False
        return True

    @override
    def ready(self, text: str) -> None:
        self._send(patience_s=_TURN_S, READY="1", STATUS=_line(text))

    @override
    def status(self, text: str) -> None:
        if text != self._status:
            self._status = text if self._send(STATUS=_line(text)) else ""

    @override
    def reloading(self, monotonic_s: float) -> None:
        self._send(patience_s=_TURN_S, RELOADING="1", MONOTONIC_USEC=str(int(monotonic_s * 1e6)))

    @override
    def stopping(self, text: str) -> None:
        self._send(patience_s=_TURN_S, STOPPING="1", STATUS=_line(text))

    @override
    def alive(self) -> None:
        self._send(WATCHDOG="1")

    @override
    def extend(self, seconds: float) -> None:
        self._send(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)))


def _line(text: str) -> str:
    return text.replace("\n", " ")[:300]
