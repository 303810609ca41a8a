#!/usr/bin/python3
"""`switch.py FOLDER`: what NixOS does to our units at a switch, by the flags in them. Runs on the test host.

A unit that is gone is stopped unless X-StopOnRemoval=false; one that differs is left alone with
X-RestartIfChanged=false, restarted after the installation with X-StopIfChanged=false, else stopped before and started
after it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

INSTALLED = Path("/etc/systemd/system")


def say(text: str) -> None:
    """One line in the log of the sweep."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def systemctl(*args: str) -> str:
    """Run it; what it printed."""
    return subprocess.run(["systemctl", *args], capture_output=True, text=True).stdout.strip()


def is_false(text: str, flag: str) -> bool:
    """A flag that is true unless it says otherwise."""
    return any(line.strip().lower() in (f"{flag.lower()}=false", f"{flag.lower()}=no") for line in text.splitlines())


def main(folder: Path) -> None:
    """Switch from the units that are installed to those in the folder."""
    old = {path.name: path.read_text() for path in INSTALLED.glob("ci-warm*") if path.is_file()}
    new = {path.name: path.read_text() for path in folder.iterdir()}
    active = {name for name in old if systemctl("show", "-P", "ActiveState", name) in ("active", "activating")}
    stop, restart = [], []
    for name in sorted(active):
        if name not in new:
            verb = "keep" if is_false(old[name], "X-StopOnRemoval") else "stop"
            stop += [name] if verb == "stop" else []
        elif new[name] == old[name]:
            continue
        elif is_false(new[name], "X-RestartIfChanged"):
            verb = "skip"
        elif is_false(new[name], "X-StopIfChanged") or not name.endswith(".service"):
            verb = "restart"
            restart.append(name)
        else:
            verb = "stop"
            stop.append(name)
        say(f"{verb} {name}")
    if stop:
        systemctl("stop", *stop)
    for name in old.keys() - new.keys():
        (INSTALLED / name).unlink()
    for name in new:
        shutil.copy(folder / name, INSTALLED / name)
    systemctl("daemon-reload")
    if restart:
        systemctl("restart", *restart)
    started = [name for name in stop if name in new]
    if started:
        systemctl("start", *started)
    say("switched")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
