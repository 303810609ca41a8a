"""What the documents list is what the code has: alert reasons, settings, keys of specs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.core.conditions import Condition, TurnFailed
from reconciler.core.live.standing import QUIET
from reconciler.model.app import AppSpec
from reconciler.model.hold import HoldReason
from reconciler.model.result import ResultKind
from reconciler.model.settings import Settings

pytestmark = pytest.mark.repository
ROOT = Path(__file__).parents[2]
_NOT_WELL = (
    ResultKind.UNHEALTHY,
    ResultKind.UNMANAGED,
    ResultKind.NO_RELEASE,
    ResultKind.UNKNOWN,
    ResultKind.ROLLBACK_REFUSED,
)


def rows(document: str) -> set[str]:
    """The code words in the first column of a document's tables."""
    lines = (ROOT / "docs" / document).read_text().splitlines()
    return {word for line in lines if line.startswith("| `") for word in re.findall(r"`([^`]+)`", line.split("|")[1])}


def reasons() -> Iterator[str]:
    """Every reason that an alert is made with."""
    waiting: list[type[Condition]] = [Condition]
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        if found.REASON:
            yield found.REASON
    yield from _NOT_WELL
    daemon = ast.parse((ROOT / "reconciler" / "engine" / "host" / "daemon.py").read_text())
    for node in ast.walk(daemon):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "_guarded":
            first = node.args[0]
            assert isinstance(first, ast.Constant) and isinstance(first.value, str)
            yield TurnFailed(turn=first.value).reason


def test_alerts_are_made_of_conditions_and_nowhere_else() -> None:
    made = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "reconciler").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Alert"
    ]
    assert [place.rpartition(":")[0] for place in made] == ["reconciler/core/conditions/condition.py"]


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
