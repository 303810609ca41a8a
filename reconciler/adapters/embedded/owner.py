"""Lets an embedded engine end with the process that it was made for. Effects: one variable of our environment.

For demos and tests: their services would outlive a process that was killed. A host's own outlive the daemon on purpose.
"""

import os
from pathlib import Path

_NAME = "CI_WARM_EMBEDDED_OWNER"


def claim() -> None:
    """From now on supervisors that this process and its children start end when this process is gone."""
    pid = os.getpid()
    started = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    os.environ[_NAME] = f"{pid}:{started}"
