"""The processes of this machine, for tests that look for one or kill it."""

from collections.abc import Iterator
from pathlib import Path


def command_lines() -> Iterator[tuple[int, bytes]]:
    """Number and words (NUL after each) of every process; one that ends while it is looked at is not there."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except OSError:
            continue


def supervisors(folder: Path) -> list[int]:
    """What keeps this service of the embedded engine."""
    return [pid for pid, words in command_lines() if words.endswith(f"supervisor.py\0{folder}\0".encode())]


def is_running(pid: int) -> bool:
    """Say whether there is such a process; one that has ended and that nobody asked about does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
