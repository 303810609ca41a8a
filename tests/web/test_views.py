"""What pages show, made of what was published."""

from typing import Any

import pytest

from reconciler.web import views

SNAPSHOT = {"id": "x", "version": "1.0.0+5", "created_at": "2026-11-29T18:15:00Z"}


def image(of: str, **changes: Any) -> dict[str, Any]:
    return {"of": of, "image": f"{of}:1", "exists": True, "local": False, "created": "", "error": ""} | changes


def preflight(*images: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {"app": "notes", "rollback_to": "1.0.0+5", "snapshot": SNAPSHOT, "problems": [], "room": "enough"}
    return {**whole, "images": list(images), **changes}


@pytest.mark.parametrize(
    ("found", "tone", "is_open", "tones"),
    [
        (preflight(image("fallback")), views.GOOD, True, [views.GOOD]),
        (preflight(image("fallback", local=True, exists=None, error="offline")), views.GOOD, True, [views.GOOD]),
        (preflight(image("fallback", exists=None, error="offline")), views.WAITING, True, [views.WAITING]),
        (preflight(image("a"), image("b", exists=False), problems=["b:1 is gone"]), "bad", False, ["good", "bad"]),
        (preflight(image("a", exists=None), problems=["no room"]), views.BAD, False, [views.WAITING]),
        (preflight(rollback_to=None, snapshot=None), views.BAD, False, []),
    ],
)
def test_the_card_of_a_way_back(found: dict[str, Any], tone: str, is_open: bool, tones: list[str]) -> None:
    card = views.make_card("notes", found)
    assert (card.tone, card.open, [one.tone for one in card.images]) == (tone, is_open, tones)
    assert bool(card.cure) != card.open  # whoever cannot go back is told what to do
    assert list(card.problems) == found["problems"]


def test_a_card_says_when_the_data_is_of_and_what_is_missing() -> None:
    card = views.make_card("notes", preflight(image("a", exists=False), problems=["a:1 is gone"]))
    assert card.snapshot == "of 1.0.0+5, 2026-11-29 18:15 UTC"
    assert (card.images[0].name, card.images[0].known) == ("a:1", "missing")
    assert "ci-warm preflight notes" in card.cure and "registry" in card.cure
