"""Every text in another language inside our Nix files is right in that language: Python, shell, systemd.

Evaluated with the stand-ins of nix/eval, as the strings are put together only then.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import nixeval  # type: ignore[import-untyped] # a wheel of the snix evaluator without types
import pytest

from reconciler.adapters import units
from tests.nix import sandbox
from tests.nix.evaluation import PROJECT, wrong


@cache
def vm() -> dict[str, Any]:
    found: dict[str, Any] = nixeval.loads(f"import {PROJECT}/nix/eval/vm.nix")
    return found


def test_the_script_of_the_vm_test_is_right_python(tmp_path: Path) -> None:
    script = vm()["testScript"]
    assert wrong(script, tmp_path) == []
    assert "docker load" in script and script.count("-5.0.") == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("    machine.start()", "unexpected indent"),
        ("undefined_name()", "F821"),
        ("machine.sucseed('true')", "has no attribute"),
        ("machine.succeed(3)", "incompatible type"),
    ],
)
def test_a_mistake_in_the_script_is_found(line: str, says: str, tmp_path: Path) -> None:
    assert says in str(wrong(f"{vm()['testScript']}\n{line}\n", tmp_path))


def test_the_vm_test_sees_what_it_must() -> None:
    script = vm()["testScript"]
    scenes = re.findall(r'with subtest\("([^"]+)"\)', script)
    assert len(scenes) == 6
    assert script.index('machine.succeed("sync")') < script.index("machine.crash()")
    machine, following = vm()["machine"], vm()["next"]
    assert machine["failed"] == [] and following["failed"] == []
    assert machine["services"]["ci-warm"]["serviceConfig"]["LoadCredential"] == ["token:/var/lib/secrets/token"]
    kinds = {name: content.get("kind") for name, content in machine["files"].items() if "/apps/" in name}
    assert kinds == {"ci-warm/apps/notes.yaml": "live", "ci-warm/apps/shelf.yaml": "canonical"}
    [switch] = machine["files"]["ci-warm/config.yaml"]["sweep"]["before"]
    assert switch.endswith("-switch")
    # The switch that the sweep runs changes the daemon's settings and the sweep's own unit.
    assert following["files"]["ci-warm/config.yaml"] != machine["files"]["ci-warm/config.yaml"]
    assert following["services"]["ci-warm-sweep"]["environment"] != machine["services"]["ci-warm-sweep"]["environment"]


def test_its_specs_are_good(tmp_path: Path) -> None:
    from reconciler.state import specs

    for name, content in vm()["machine"]["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    settings = specs.read_settings(tmp_path / "ci-warm" / "config.yaml")
    assert [spec.name for spec in specs.read_specs([tmp_path / "ci-warm" / "apps"], settings)] == ["notes", "shelf"]


def shell_texts() -> dict[str, str]:
    """Every text for a shell in our Nix files, by where it stands."""
    marked = [text for whole in vm()["shell"] for text in re.findall("<shell>(.*?)</shell>", whole, re.S)]
    # In a list that the script goes through they are JSON.
    plain = dict.fromkeys(text if "\n" in text else json.loads(f'"{text}"') for text in marked)
    package = sandbox.package()
    return {
        **{f"vm {number}": text for number, text in enumerate(plain)},
        **{f"package {name}": package[name] for name in ("postInstall", "preCheck")},
        **{f"check {number}": text for number, text in enumerate(vm()["machine"]["checks"])},
    }


def test_every_text_for_a_shell_is_right_shell() -> None:
    texts = shell_texts()
    assert len(texts) >= 6 and any("git init" in text or "init --quiet" in text for text in texts.values())
    for name, text in texts.items():
        ran = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, ""), f"{name}: {ran.stderr}"


def test_no_text_in_another_language_is_left_unread() -> None:
    """A string over several lines is prose, or one of those that the tests above read."""
    read = {
        "postInstall",
        "preCheck",
        "extraCommands",
        "testScript",
        'writeShellScript "release"',
        'writeShellScript "switch"',
        'runCommand "ci-warm-config-validated" { }',
        "checkTime = option: kind: value: right:",  # part of the one before
    }
    prose = {"description", "example", "message", "literalExpression", "&& !keepsPins)", "rootless.setSocketVariable)"}
    unknown = []
    for path in [PROJECT / "flake.nix", *(PROJECT / "nix").rglob("*.nix")]:
        for line in path.read_text().splitlines():
            before = line.rstrip().removesuffix("''").rstrip(" =(")
            opens = line.rstrip().endswith(" ''")
            if opens and before.strip() and not any(before.endswith(word) for word in read | prose):
                unknown.append(f"{path.relative_to(PROJECT)}: {before}")
    assert unknown == []


def test_the_package_writes_the_units_that_install_units_writes(tmp_path: Path) -> None:
    """By a shell alone: where it is built for another machine, its program cannot be run."""
    stub = (
        'substituteInPlace() { while [ "$1" != --replace-fail ]; do set -- "$@" "$1"; shift; done; replaced "$@"; }\n'
    )
    stub += 'replaced() { from=$2 to=$3; shift 3; grep -q "$from" "$@" && sed -i "s|$from|$to|g" "$@"; }\n'
    package = sandbox.package()
    argv = ["bash", "-euc", stub + package["postInstall"]]
    subprocess.run(argv, cwd=PROJECT, env={"out": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    folder = tmp_path / "lib" / "systemd" / "system"
    assert {path.name: path.read_text() for path in folder.iterdir()} == units.texts(f"{tmp_path}/bin/ci-warm")
    assert "python" not in package["postInstall"]


def test_the_package_says_what_nixpkgs_asks_for() -> None:
    package = sandbox.package()
    meta = package["meta"]
    assert meta["mainProgram"] == "ci-warm" and meta["license"] and meta["platforms"]
    assert all(meta[key].startswith("https://") for key in ("homepage", "changelog"))
    assert package["version"] in meta["changelog"] and meta["maintainers"][0]["name"]
    assert not meta["description"].startswith(("A ", "The ", "ci-warm")) and not meta["description"].endswith(".")
    assert package["passthru"] == ["vm"] and "versionCheckHook" in package["programs"]
