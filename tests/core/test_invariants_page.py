"""docs/invariants.md: each code that doctor can give has its row, and each test that a row names exists."""

import ast
import re
from pathlib import Path

import pytest

from reconciler import doctor

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]


def rows() -> dict[str, tuple[str, str, str]]:
    """Code -> what it says, what doctor looks for, what shows it."""
    lines = (ROOT / "docs" / "invariants.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    found = {code.strip("`"): (says, looks, shown) for code, says, looks, shown in cells}
    assert len(found) == len(cells), "a code has two rows"
    return found


def codes() -> set[str]:
    """Every code that a finding of doctor may have."""
    found = set()
    modules = [ast.parse((ROOT / "reconciler" / name).read_text()) for name in ("doctor.py", "doctor_tools.py")]
    for node in (node for module in modules for node in ast.walk(module)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
            [code] = [keyword.value for keyword in node.keywords if keyword.arg == "invariant"]
            assert isinstance(code, ast.Constant) and isinstance(code.value, str), ast.unparse(node)
            found.add(code.value)
    return found


def test_every_finding_of_the_doctor_has_its_row(tmp_path: Path) -> None:
    assert {"I1", "I20", "root"} <= codes()
    assert {code for code, (_, looks, _) in rows().items() if looks != "-"} == codes()
    [found] = doctor.examine(tmp_path / "nothing")
    assert found.invariant == "root"


def test_no_invariant_is_left_out() -> None:
    assert [code for code in rows() if code not in ("root", "tools")] == [f"I{number}" for number in range(1, 42)]


def test_every_test_that_the_page_names_exists() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.M)
    }
    named = {code: re.findall(r"`(\w+)`", shown) for code, (_, _, shown) in rows().items()}
    assert [code for code, names in named.items() if not names] == []
    assert {code: set(names) - there for code, names in named.items() if set(names) - there} == {}
