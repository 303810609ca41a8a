"""Whom an error text is laid on: the host, whose troubles never quarantine a release, or the app. Pure."""

_HOST_TEXTS = (
    "does not have a leader",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "no space left",
    "could not find an available",
    "cannot connect to the docker daemon",
    "error during connect",
    "unexpected eof",
    "update out of sequence",
    "not found: network",
    "vxlan interface",
    "network sandbox join failed",
    "missing network attachments",
    "no such container",
    "no such image",
    "cannot allocate memory",
    "i/o timeout",
    "too many open files",
    "device or resource busy",
    "address already in use",
    "port is already allocated",
    "its supervisor is gone",
)
"""Texts of engines in trouble, measured on Engine 20.10 and 28.5 or reported for them. An image that was there when
the release was prepared, and is not when its task starts, was removed meanwhile. What an app prints is never in them,
so that a port in use is one of the host's: another program has it. A supervisor is the embedded engine's."""
_NO_SUCH_COMMAND = "executable file not found"
_NOT_STARTED = ("starting container failed", "starting task failed")


def is_hosts(text: str) -> bool:
    """Say whether the engine or the machine is to blame."""
    low = text.lower()
    # A command may be called after a network.
    missing_network = "network" in low and "not found" in low and _NO_SUCH_COMMAND not in low
    return missing_network or any(known in low for known in _HOST_TEXTS)


def is_not_started(text: str) -> bool:
    """Say whether the engine had a container and could not start it: no program of the release ran."""
    return text.lower().startswith(_NOT_STARTED)
