"""Messages sound as docs/style-of-messages.md says, as far as a program can tell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.repository
ROOT = Path(__file__).parents[2] / "reconciler"
TOLD = {"UsageError", "ActError", "ObserveError", "RecipeError", "ComposeError"}
NAMES = {"Docker", "UNKNOWN", "SSH", "GPG", "YAML", "Swarm", "Keycloak", "Traefik"}
"""What begins with a capital letter anywhere."""


def messages() -> Iterator[tuple[str, str]]:
    """Place and text of what is raised for people; what is filled in is `{}`."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TOLD and node.args:
                text = _text(node.args[0])
                if text:
                    yield f"{path.relative_to(ROOT.parent)}:{node.lineno}", text


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def test_messages_are_parts_of_a_line_and_name_what_they_are_about() -> None:
    found = list(messages())
    assert len(found) > 100
    wrong = [
        (place, text)
        for place, text in found
        if text.endswith((".", "!"))
        or "\n" in text
        or (text[0].isupper() and text.split()[0].rstrip(":,") not in NAMES)
        or any(word in text.lower() for word in ("please", "oops", "sorry", "invalid argument"))
    ]
    assert wrong == []
