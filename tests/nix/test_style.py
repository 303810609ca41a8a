"""Nix files are written as nixpkgs wants them (RFC 166): what its formatter refuses, and itself where it can be had."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.systemd.host import cache

PROJECT = Path(__file__).parents[2]
FILES = sorted([PROJECT / "flake.nix", *(PROJECT / "nix").rglob("*.nix")])
REFUSED = {
    "a tab": r"\t",
    "white space at the end of a line": r"[ \t]+$",
    "a comma that begins a line": r"^\s*,",
    "arguments that begin beside their brace, over several lines": r"^\s*\{ \w+$",
    "a list that begins beside its bracket, over several lines": r"^.*\[ [^\]]+$",
    "let that shares its line": r"\blet [\w\"(].*[^;]$",
    "the whole of lib in scope": r"^\s*with lib;",
    "more than one empty line": r"\n\n\n",
}


def code(path: Path) -> str:
    """The file without the insides of its texts over several lines: those are not Nix."""
    return re.sub(r"''\n.*?\n\s*''(?=[;)\s])", "''''", path.read_text(), flags=re.S)


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_formatter_refuses(what: str) -> None:
    assert [path.name for path in FILES if re.search(REFUSED[what], code(path), re.M)] == []


def test_files_end_with_their_line() -> None:
    assert [path.name for path in FILES if not re.search(r"[^\n]\n\Z", path.read_text())] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{ lib\n, pkgs\n}: 1\n", "a comma that begins a line"),
        ("{ lib\n, pkgs\n}: 1\n", "arguments that begin beside their brace, over several lines"),
        ("x = [ 1\n2 ];\n", "a list that begins beside its bracket, over several lines"),
        ("let a = 1; in a\n", "let that shares its line"),
        ("with lib;\n1\n", "the whole of lib in scope"),
    ],
)
def test_each_of_them_is_seen(text: str, what: str) -> None:
    assert re.search(REFUSED[what], text, re.M)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("crate", "argv"),
    [("nixfmt_rs", ["nixfmt", "--check", *map(str, FILES)]), ("deadnix", ["deadnix", "--fail", "flake.nix", "nix"])],
)
def test_formatted_and_nothing_unused(crate: str, argv: list[str]) -> None:
    if shutil.which("cargo") is None:
        missing("there is no cargo to build the formatter with")
    root = cache() / "cargo"
    if not (root / "bin" / argv[0]).exists():
        command = ["cargo", "install", "--quiet", "--locked", "--root", str(root), crate]
        subprocess.run(command, check=True, timeout=800)
    ran = subprocess.run([str(root / "bin" / argv[0]), *argv[1:]], cwd=PROJECT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
