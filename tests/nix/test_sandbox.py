"""What the check phase is made of (`make test-sandbox` runs it): the selection, the inputs, the ways to the program."""

import re
from pathlib import Path

import pytest

from tests.nix import sandbox

PROJECT = Path(__file__).parents[2]
LOCK = """left==1.0 \\
    --hash=sha256:aa
    # via ci-warm (pyproject.toml)
right==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via
    #   left
    #   other
other==3.0 \\
    --hash=sha256:dd
    # via ci-warm (pyproject.toml)
"""


def test_only_what_is_named_and_what_it_needs_is_installed() -> None:
    assert [text.partition("=")[0] for text in sandbox.wanted(LOCK, {"left"})] == ["left", "right"]
    with pytest.raises(AssertionError, match="nowhere"):
        sandbox.wanted(LOCK, {"left", "nowhere"})


def test_the_fileset_is_what_the_tests_need_and_nothing_about_the_repository(tmp_path: Path) -> None:
    names = {path.name for path in sandbox.source(tmp_path).iterdir()}
    assert names == {"LICENSE", "README.md", "pyproject.toml", "reconciler", "state-schema", "tests"}


def test_every_path_that_is_left_out_is_there_and_every_mark_is_known() -> None:
    package = sandbox.package()
    assert all((PROJECT / path).is_dir() for path in package["disabledTestPaths"])
    marks = re.findall(r'^    "(\w+): ', (PROJECT / "pyproject.toml").read_text(), re.M)
    assert set(package["disabledTestMarks"]) <= set(marks)


def test_no_test_names_a_place_that_only_a_checkout_or_this_machine_has() -> None:
    """`.venv`, programs by a path other than /bin/sh, and documents outside of what is marked."""
    left_out = tuple(sandbox.package()["disabledTestPaths"])
    wrong = []
    for path in (PROJECT / "tests").rglob("*.py"):
        name, text = str(path.relative_to(PROJECT)), path.read_text()
        if name.startswith(left_out):
            continue
        found = re.findall(r'\.venv|"/(?:usr/)?s?bin/(?!sh"|true")[\w-]+"', text)
        if re.search(r'/ "docs"|"docs/', text) and "mark.repository" not in text:
            found.append("docs")
        wrong += [f"{name}: {what}" for what in found]
    assert wrong == []


def test_programs_that_tests_call_are_check_inputs() -> None:
    texts = "".join(path.read_text() for path in (PROJECT / "tests").rglob("*.py") if "nix" not in path.parts)
    inputs = sandbox.package()["programs"]
    called = {"openssl": "openssl", "pgrep": "procps", "git": "gitMinimal", "gpg": "gnupg", "ssh-keygen": "openssh"}
    for program, package in called.items():
        assert (f'"{program}"' in texts) == (package in inputs), program
