"""A command in a running container of the engine that is asked. Effects: the engine, whatever the command does."""

import threading
from collections.abc import Sequence

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.core.redact import LONGEST
from reconciler.model.errors import ActError
from reconciler.model.ids import StackName
from reconciler.ports.node import Executed


def execute(client: SwarmClient, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
    """Run it to its end; one that does not end in time is left to the container, which the caller takes down.

    Raises:
        ActError: no container of that service runs here, or the command did not end in time.
    """
    names = {"label": [f"{parse.LABEL_STACK}={stack}", f"com.docker.swarm.service.name={stack}_{service}"]}
    running = client.read("containers", "containers", filters=names)
    if not running:
        raise ActError(f"service {service} has no running container on this node", host_fault=True)
    try:
        made = client.write("exec", "exec_create", running[0]["Id"], list(argv))
    except ActError as exc:
        # The container is paused, or ended since the look: the command was never begun.
        raise ActError(f"in service {service}: {exc}", host_fault=True) from exc
    if made is None:
        raise ActError(f"the container of {service} is gone", host_fault=True)
    said: list[bytes | ActError] = []

    def work() -> None:
        try:
            kept = b""
            for piece in client.write("exec", "exec_start", made["Id"], stream=True) or ():
                # A command may print without end; its last words are what is shown.
                kept = (kept + piece)[-LONGEST:]
            said.append(kept)
        except ActError as exc:
            said.append(exc)

    # The stream has no deadline of its own: a thread that hangs ends with the container.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not said:
        # Not its arguments, which may be secret.
        raise ActError(f"{argv[0]} in service {service} did not end within {timeout_s:g} s")
    if isinstance(said[0], ActError):
        raise said[0]
    # Asked afterwards: the stream carries the output only.
    code = client.read("exec", "exec_inspect", made["Id"]).get("ExitCode")
    return Executed(code=-1 if code is None else int(code), output=said[0][-LONGEST:].decode("utf-8", "replace"))
