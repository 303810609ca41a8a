"""Package, module, flake outputs and VM driver on a whole nixpkgs tree: `NIXPKGS=TREE make test-nix`. Nothing is built.

A tree that was cut down lacks things that NixOS itself asks for; each is stood in by something empty, and said.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.nix.evaluation import write_host_flake, wrong
from tests.systemd.host import cache as cached
from tests.systemd.host import mirror

PROJECT = Path(__file__).parents[2]
NIXPKGS = os.environ.get("NIXPKGS", "")
EXPRESSION = PROJECT / "nix" / "eval" / "nixpkgs.nix"
_GAPS = {
    "packages": re.compile(r"(?:required argument \"|attribute ')([\w-]+)(?:\"| missing|' missing)"),
    "options": re.compile(r"The option `(?:nodes\.\w+\.)?([\w.-]+)' does not exist"),
}
_UNREADABLE = "haskell-modules/hackage-packages.nix' does not exist"
_OF_HASKELL = ("nixfmt", "shellcheck-minimal", "shellcheck")
"""A file that is too large for some copies of a tree, and what cannot be had without it."""
_MOST = 60

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not NIXPKGS, reason="NIXPKGS names no nixpkgs tree"),
]


@cache
def nix() -> list[str]:
    """A Nix that evaluates today's nixpkgs: that of the machine, else Debian's through its own loader."""
    if shutil.which("nix-instantiate"):
        return ["nix-instantiate"]
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        missing("there is no nix-instantiate, and no mmdebstrap with root to take Debian's")
    tree = cached() / "nix-trixie"
    if not tree.exists():
        made = tree.with_suffix(f".{os.getpid()}.part")
        argv = ["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", "--include=nix-bin", "trixie", str(made)]
        subprocess.run([*argv, mirror()], check=True, timeout=600)
        made.rename(tree)
    loader = next((tree / "usr" / "lib64").glob("ld-linux*"))
    libraries = next((tree / "usr" / "lib").glob("*-linux-gnu"))
    words = [str(loader), "--library-path", str(libraries), "--argv0", "nix-instantiate"]
    return [*words, str(tree / "usr" / "bin" / "nix-instantiate")]


class Tree:
    """One nixpkgs tree, and what it turned out to lack."""

    def __init__(self, store: Path) -> None:
        self.missing: dict[str, list[str]] = {"packages": [], "options": []}
        self._environment = os.environ | {
            f"NIX_{name}_DIR": str(store / name.lower()) for name in ("STORE", "STATE", "LOG", "CONF")
        }

    def read(self, attribute: str, *words: str) -> Any:
        """Evaluate one attribute whole."""
        for _ in range(_MOST):
            ran = subprocess.run(
                [
                    *nix(),
                    "--eval",
                    "--strict",
                    "--json",
                    str(EXPRESSION),
                    "-A",
                    attribute,
                    "--arg",
                    "nixpkgs",
                    NIXPKGS,
                    *self._stand_ins(),
                    *words,
                ],
                capture_output=True,
                text=True,
                env=self._environment,
                timeout=300,
            )
            if ran.returncode == 0:
                return json.loads(ran.stdout)
            assert self._learn(ran.stderr), ran.stderr
        raise AssertionError(f"this tree lacks too much: {self.missing}")

    def _stand_ins(self) -> Iterator[str]:
        for kind, names in self.missing.items():
            yield from ("--arg", kind, "[ " + " ".join(f'"{name}"' for name in names) + " ]")

    def _learn(self, said: str) -> bool:
        """Note what is missing; False: something else is wrong. Our own names are never stood in."""
        left = [name for name in _OF_HASKELL if name not in self.missing["packages"]]
        if _UNREADABLE in said and left:
            self.missing["packages"].append(left[0])
            return True
        for kind, pattern in _GAPS.items():
            found = pattern.search(said)
            if found and "ci-warm" not in found[1] and found[1] not in self.missing[kind]:
                self.missing[kind].append(found[1])
                return True
        return False


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    with tempfile.TemporaryDirectory(prefix="ci-warm-nix-") as store:
        made = Tree(Path(store))
        yield made
        shutil.rmtree(store, ignore_errors=True)


def test_the_package_with_its_meta_also_for_another_machine(tree: Tree) -> None:
    package = tree.read("package")
    assert re.search(r"-ci-warm-[\d.]+\.drv$", package["drvPath"])
    assert package["overlaid"].endswith(".drv") and "aarch64" in package["cross"]
    assert package["meta"]["available"] and not package["meta"]["broken"]


def test_every_output_of_the_flake(tree: Tree) -> None:
    packages = tree.read("packages")
    assert set(packages) == {"x86_64-linux", "aarch64-linux"}
    assert all(set(found) == {"ci-warm", "default"} for found in packages.values())
    assert set(tree.read("shells")) == set(tree.read("formatter")) == set(packages)
    assert tree.read("check") == packages["x86_64-linux"]["default"]


def test_the_driver_of_the_vm_test_and_its_script(tree: Tree, tmp_path: Path) -> None:
    vm = tree.read("vm")
    assert vm["driver"].endswith(".drv")
    assert wrong(vm["script"], tmp_path) == []


def test_a_small_host(tree: Tree) -> None:
    host = tree.read("minimal")
    assert host["failed"] == [] and [text for text in host["warnings"] if "ci-warm" in text] == []
    assert host["toplevel"].endswith(".drv") and "X-Reload-Triggers" in host["daemon"]


def test_the_host_of_the_documents(tree: Tree, tmp_path: Path) -> None:
    flake = write_host_flake(tmp_path)
    outputs = (
        f"let outputs = (import {flake}).outputs {{ self = outputs; nixpkgs.lib.nixosSystem = system: system; "
        "ci-warm.nixosModules.default = { }; }; in { imports = outputs.nixosConfigurations.ci.modules; }"
    )
    host = tree.read("example", "--arg", "host", outputs)
    assert host["failed"] == [] and host["toplevel"].endswith(".drv")
