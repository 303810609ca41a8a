"""Where a clone came from. Effects: starts git, which reads one file."""

from pathlib import Path

from reconciler.adapters import process


def find_origin(clone: Path) -> str | None:
    """The URL of its `origin`; None if there is no such clone, or it names none."""
    config = clone / ".git" / "config"
    if not config.is_file():
        return None
    # The file alone: in a folder that belongs to somebody else git would refuse to look further.
    ran = process.run(["git", "config", "--file", str(config), "--get", "remote.origin.url"], timeout_s=10)
    return ran.output.strip() or None if ran.code == 0 else None
