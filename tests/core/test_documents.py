"""What the documents list is what the code has: alert reasons, settings, keys of specs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine.report import QUIET
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec
from reconciler.model.verdict import HoldReason

pytestmark = pytest.mark.repository
ROOT = Path(__file__).parents[2]
_MAKERS: dict[str, str | int] = {"Alert": "reason", "AlertText": "reason", "_alert": 1, "host_alert": 1}


def rows(document: str) -> set[str]:
    """The code words in the first column of a document's tables."""
    lines = (ROOT / "docs" / document).read_text().splitlines()
    return {word for line in lines if line.startswith("| `") for word in re.findall(r"`([^`]+)`", line.split("|")[1])}


def reasons() -> Iterator[str]:
    """Every reason that an alert is made with, as far as it stands in the code."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "reconciler").rglob("*.py")]
    constants = {
        target.id: node.value.value
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for tree in trees:
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "attr", "") or getattr(getattr(node, "func", None), "id", "")
            if not isinstance(node, ast.Call):
                continue
            first = node.args[0] if node.args else None
            if name == "_guarded" and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield f"{first.value}-failed"
            if name not in _MAKERS:
                continue
            at, known = _MAKERS[name], {keyword.arg: keyword.value for keyword in node.keywords}
            found = known.get(at) if isinstance(at, str) else node.args[at]
            if isinstance(found, ast.Constant):
                yield str(found.value)
            elif isinstance(found, ast.Name) and found.id in constants:
                yield str(constants[found.id])


def test_every_alert_has_its_row() -> None:
    made = {*reasons(), *(f"held-{reason}" for reason in HoldReason if reason not in QUIET)}
    assert {"rollback", "engine-unknown", "run-leftovers", "pass-failed", "orphan", "run-lost", "held-major"} <= made
    assert made - rows("alerts.md") == set()


def test_every_key_of_a_spec_and_of_the_settings_has_its_row() -> None:
    listed = {word.partition(".")[0] for word in rows("specs.md")}
    assert {field.alias or name for name, field in AppSpec.model_fields.items()} - listed == set()
    assert set(Settings.model_fields) - listed == set()


def test_every_test_that_the_checklist_names_is_there() -> None:
    texts: dict[str, str] = {}
    missing, seen = [], 0
    for line in (ROOT / "docs" / "checklist.md").read_text().splitlines():
        file = ""
        for found in re.finditer(r"((?:tests|nix)/[\w/.]+\.(?:py|nix))|::(test_\w+)", line):
            if found[1]:
                file = found[1]
                texts.setdefault(file, (ROOT / file).read_text() if (ROOT / file).is_file() else "")
                seen += 1
                missing += [file] if not texts[file] else []
            elif f"def {found[2]}(" not in texts.get(file, ""):
                missing.append(f"{line.split('|')[1].strip()}: {file}::{found[2]}")
    assert seen > 200 and missing == []
