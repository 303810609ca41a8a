"""docs/transitions.md is what the code does."""

from pathlib import Path

import pytest

from reconciler.core.change import transaction
from reconciler.model.journal import Change, Step
from reconciler.model.result import ResultKind
from tests.core.change import transitions

PAGE = Path(__file__).parents[3] / "docs" / "transitions.md"


@pytest.mark.repository
def test_the_page_is_what_the_code_does() -> None:
    assert PAGE.read_text() == transitions.build(), f"write it anew: {transitions.COMMAND}"


def test_every_kind_of_result_has_its_meaning() -> None:
    assert list(transitions.MEANING) == list(ResultKind)
    assert all(meaning for _, meaning in transitions.MEANING.values())


def test_every_kind_of_change_and_every_way_forward_is_on_the_page() -> None:
    assert {shape.kind for shape in transitions.SHAPES} == set(Change)
    ways = {
        transaction.forward(shape.journal(stateful=stateful, snapshot_first=first))
        for shape in transitions.SHAPES
        for stateful in (True, False)
        for first in (True, False)
    }
    assert ways == {transaction.forward(shape.journal()) for shape in transitions.SHAPES}


def test_the_diagram_has_every_step() -> None:
    drawn = transitions.build().split("```mermaid")[1].split("```")[0]
    assert [step for step in Step if f" {step.replace('-', '_')}" not in drawn] == []
