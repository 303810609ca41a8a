"""What a forge is told of a test."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.adapters.run_queue import RunQueue
from reconciler.core.testrun import forge_answer, trigger
from reconciler.model.asked_test import AskedTest
from reconciler.model.ids import AppName
from reconciler.model.testrun import Run, RunMode, RunResult

AT = datetime(2026, 11, 29, tzinfo=UTC)


def asked(**changes: Any) -> AskedTest:
    about = {"id": "a" * 32, "app": "notes", "mode": "cold", "at": AT, "forge": {"repository": "r/notes", "number": 1}}
    return AskedTest.model_validate(about | changes)


def run(result: str, **changes: Any) -> Run:
    about = {
        "run": "note-a1b2c3",
        "mode": "cold",
        "confidence": "full",
        "app": "notes",
        "recipe": "https://git.example.org/notes",
        "stack": "s",
        "domain": "d.example.net",
        "asked": ["install"],
        "head": {"version": "1.0.0+5", "commit": "c" * 40, "kind": "ref"},
        "started_at": AT,
        "result": result,
    }
    return Run.model_validate(about | changes)


ROWS = [
    ("running", "pending", False),
    ("green", "success", True),
    ("red", "failure", True),
    ("partial", "failure", True),
    ("error", "error", True),
    ("aborted", "error", False),
    ("died", "error", False),
]


@pytest.mark.parametrize(("result", "state", "over"), ROWS)
def test_how_a_run_ends_is_a_status_and_an_end(result: str, state: str, over: bool) -> None:
    status = forge_answer.make_status(asked(), run(result), "https://ci.example.net/")
    assert status is not None
    assert (status.state, status.context, status.commit) == (state, "ci-warm/cold", "c" * 40)
    assert status.link == "https://ci.example.net/runs/note-a1b2c3"
    assert forge_answer.is_over(asked(), run(result)) is over
    assert forge_answer.is_over(asked(stopped=True), run(result)) is (result != "running")
    assert {row[0] for row in ROWS} == set(RunResult)


def test_a_quick_test_sets_no_status_even_where_it_became_a_cold_run() -> None:
    quick = asked(mode="quick")
    for mode in RunMode:
        assert forge_answer.make_status(quick, run("green", mode=mode)) is None
    assert forge_answer.make_status(asked(), None) is None


def test_the_comment_says_mode_confidence_and_what_it_waits_for() -> None:
    assert "quick test of `notes`, confidence lower" in forge_answer.write_comment(asked(mode="quick"), None)
    assert "**waits** for a place" in forge_answer.write_comment(asked(), None)
    assert "**not tested**: too many" in forge_answer.write_comment(asked(why="too many"), None)
    assert "**stopped** before it began" in forge_answer.write_comment(asked(stopped=True), None)
    assert "interrupted; it is tried again" in forge_answer.write_comment(asked(), run("aborted"))


def test_what_a_recipe_says_makes_no_markup_on_the_forge() -> None:
    words = "a | b\n## x <img src=y> [l](http://z) @anna `c`"
    stage = {"stage": "install", "result": "failed", "reason": words, "elapsed_seconds": 1}
    text = forge_answer.write_comment(asked(), run("red", stages=[stage]))
    [row] = [line for line in text.splitlines() if line.startswith("| install")]
    assert row.replace("\\|", "").count("|") == 5
    assert "@anna" not in row and "<img" not in row and "[l]" not in row


@pytest.mark.parametrize(
    ("comment", "stops", "asks", "misses"),
    [
        ("!testme --stop", True, False, False),
        ("!testme\t--stop \nnow", True, False, False),
        ("    !testme --stop", False, False, False),
        ("!testme --stop now", False, False, True),
        ("!testme", False, True, False),
    ],
)
def test_a_comment_takes_back_what_was_asked_for(comment: str, stops: bool, asks: bool, misses: bool) -> None:
    found = trigger.is_stop(comment), trigger.parse(comment) is not None, trigger.is_near_miss(comment)
    assert found == (stops, asks, misses)


def test_apps_take_turns_and_one_head_waits_once() -> None:
    queue = RunQueue(most=6, side_by_side=3, of_one_app=2)
    a, b = AppName("a"), AppName("b")
    running: dict[tuple[str, ...], AppName] = {}
    for number in range(4):
        assert queue.add(("cold", "a", "--ref", str(number)), a, f"{number}", list(running))
    assert queue.add(("cold", "a", "--ref", "0"), a, "again", list(running))
    assert queue.add(("cold", "b"), b, "", list(running))
    order = []
    while (found := queue.take(running)) is not None:
        running[found[0]] = found[1]
        order.append((found[0][1:], list(found[2])))
    assert order == [(("a", "--ref", "0"), ["0", "again"]), (("b",), []), (("a", "--ref", "1"), ["1"])]
    assert not queue.add(("cold", "a", "--ref", "9"), a, "", [*running, ("x",), ("y",)])
    assert queue.drop(a, "2", "") == 1 and queue.drop(a, "2", "") == 0
    del running[("cold", "a", "--ref", "0")]
    found = queue.take(running)
    assert found is not None and found[0] == ("cold", "a", "--ref", "3")


def test_a_test_of_the_commit_that_a_push_brought_is_spared() -> None:
    queue, a = RunQueue(most=6, side_by_side=3, of_one_app=2), AppName("a")
    for words in (
        ("quick", "a", "--ref", "r", "--at", "new"),
        ("quick", "a", "--ref", "r", "--at", "old"),
        ("cold", "a"),
    ):
        assert queue.add(words, a, "", [])
    assert queue.add(("canonical", "seed", "a", "--if-cold"), a, "", [])
    assert (queue.drop(a, "r", "new"), queue.drop(a, None, "new"), queue.drop(a, "r", "")) == (1, 1, 1)
    assert queue.take({}) == (("canonical", "seed", "a", "--if-cold"), a, [])
