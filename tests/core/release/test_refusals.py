"""What Docker would refuse is found in a release's document: a row per shape and rule, none of what it takes."""

from typing import Any

import pytest

from reconciler.core.release import refusals
from reconciler.model.recipe import Rendered
from tests.documents import document
from tests.documents.accepted import ACCEPTED
from tests.documents.refused import LATER, SHAPES, Refused

STACK = "notes_example_test"


def find(doc: dict[str, Any], said: tuple[str, ...] | None = None, **changes: Any) -> list[tuple[str, str]]:
    """Place and words of each refusal."""
    rendered = Rendered(version="", commit="", doc=doc, files={}, images={}, volumes={}, **changes)
    return [(one.place, one.says) for one in refusals.find_refusals(rendered, STACK, said)]


@pytest.mark.parametrize("row", SHAPES, ids=[row.name for row in SHAPES])
def test_a_shape_is_refused_where_the_tool_cannot_be_asked(row: Refused) -> None:
    [(place, _), *_] = find(row.doc)
    assert place == row.place


@pytest.mark.parametrize("row", LATER, ids=[row.name for row in LATER])
def test_what_has_the_right_shape_is_refused_by_its_rule(row: Refused) -> None:
    for said in (None, ()):
        found = find(row.doc, said)
        assert [place for place, _ in found] == [row.place]
        assert row.says in found[0][1]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_docker_takes_is_not_refused(name: str) -> None:
    assert find(ACCEPTED[name]) == []
    assert find(ACCEPTED[name], ()) == []


def test_the_tools_own_words_are_told_with_the_file_that_says_so() -> None:
    places: dict[str, str] = {}
    refusals.note_places(places, {"services": {"app": {"image": "x", "deploy": {"replicas": 1}}}}, "compose.yml")
    refusals.note_places(places, {"services": {"app": {"deploy": {"replicas": "two"}}}}, "compose.more.yml")
    doc = {"services": {"app": {"image": "x", "deploy": {"replicas": "two"}}}}
    rendered = Rendered(version="", commit="", doc=doc, files={}, images={}, volumes={}, places=places)
    said = (
        "services.app.deploy.replicas must be a integer",
        "services.app.image must be a string",
        "what the tool says of nothing that we know",
    )
    assert [str(one) for one in refusals.find_refusals(rendered, STACK, said)] == [
        "compose.more.yml: services.app.deploy.replicas: must be a integer",
        "compose.yml: services.app.image: must be a string",
        "compose.more.yml, compose.yml: what the tool says of nothing that we know",
    ]


def test_the_mode_of_a_service_that_is_updated_in_place_cannot_change() -> None:
    doc = document(deploy={"mode": "global"})
    rendered = Rendered(version="", commit="", doc=doc, files={}, images={}, volumes={})
    [found] = refusals.find_refusals(rendered, STACK, (), {"app": "replicated"})
    assert (found.place, found.says) == (
        "services.app.deploy.mode",
        "service mode change is not allowed: replicated to global",
    )
    for modes in ({}, {"app": "global"}, {"other": "replicated"}):
        assert refusals.find_refusals(rendered, STACK, (), modes) == ()
