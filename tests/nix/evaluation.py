"""What tests of Nix texts share."""

import ast
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DRIVER = ("machine", "subtest")


def wrong(script: str, folder: Path) -> list[str]:
    """What compiler, linter and type checker say of a script for the test driver."""
    path = folder / "script.py"
    path.write_text(f"from tests.nix.driver_stub import {', '.join(DRIVER)}\n{script}")
    try:
        ast.parse(script)
    except SyntaxError as exc:
        return [f"{exc.msg}, line {exc.lineno}"]
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--quiet", "--select", "F", str(path)]
    types = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(folder / "c"),
        str(path),
    ]
    ran = [subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True) for argv in (lint, types)]
    return [text for one in ran for text in [one.stdout + one.stderr] if one.returncode]


def write_host_flake(folder: Path) -> Path:
    """The flake of the host that docs/nixos.md shows, as a file."""
    found = re.search(r"^```nix\n(.*?)^```", (PROJECT / "docs" / "nixos.md").read_text(), re.S | re.M)
    assert found is not None
    flake = folder / "flake.nix"
    flake.write_text(found[1])
    return flake
