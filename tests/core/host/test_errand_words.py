"""Which command a request becomes, and what its end is for whoever asked."""

import json

import pytest

from reconciler.core.host import errand_words
from reconciler.model.errand import ErrandEnd
from reconciler.model.request import Asked, ReplyOutcome, Request


def request(action: Asked, **fields: str) -> Request:
    return Request(action=action, app="notes", **fields)


@pytest.mark.parametrize(
    ("asked", "words", "limited"),
    [
        (request(Asked.PREFLIGHT), ("preflight", "--json", "--", "notes"), True),
        (request(Asked.PLAN), ("plan", "--json", "--no-fetch", "--", "notes"), True),
        (
            request(Asked.ROLLBACK, version="1.0.0+5", reason="--yes; empty"),
            ("rollback", "--reason=--yes; empty", "--to=1.0.0+5", "--yes", "--", "notes"),
            False,
        ),
        (request(Asked.UNDEPLOY, reason="move"), ("undeploy", "--reason=move", "--yes", "--", "notes"), False),
    ],
)
def test_what_a_person_wrote_is_one_word_of_the_command(asked: Request, words: tuple[str, ...], limited: bool) -> None:
    errand = errand_words.make_errand(asked, "anna through web")
    assert (errand.words, errand.actor, errand.limit_s is not None) == (words, "anna through web", limited)


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        (request(Asked.ROLLBACK, reason="x"), "names the version"),
        (request(Asked.ROLLBACK, version="1.0.0+5", reason=" "), "needs a reason"),
        (request(Asked.UNDEPLOY), "needs a reason"),
        (request(Asked.UNDEPLOY, reason="x"), ""),
        (request(Asked.PREFLIGHT), ""),
    ],
)
def test_what_a_request_lacks_is_told_before_anything_is_begun(asked: Request, missing: str) -> None:
    found = errand_words.find_missing(asked)
    assert missing in found
    assert bool(found) == bool(missing)


WAY = {"app": "notes", "rollback_to": "1.0.0+5", "problems": []}
LOST = {**WAY, "problems": ["image a:1 is missing"]}
ROW = {"app": "notes", "action": "upgrade", "result": None, "reason": "newer"}


@pytest.mark.parametrize(
    ("action", "code", "output", "errors", "outcome", "text"),
    [
        (Asked.PREFLIGHT, 0, json.dumps(WAY), "", ReplyOutcome.DONE, "leads to 1.0.0+5"),
        (Asked.PREFLIGHT, 1, json.dumps(LOST), "", ReplyOutcome.DONE, "no way back: image a:1 is missing"),
        (Asked.PREFLIGHT, 1, "", "log line\nerror: the engine does not answer", ReplyOutcome.FAILED, "the engine does"),
        (Asked.PLAN, 20, json.dumps([ROW]), "", ReplyOutcome.DONE, "upgrade: newer"),
        (Asked.ROLLBACK, 0, "RECONCILE RESULT: notes rolled-back:1\n", "step", ReplyOutcome.DONE, "RECONCILE RESULT:"),
        (Asked.ROLLBACK, 1, "RECONCILE RESULT: notes rollback-failed:1\n", "why", ReplyOutcome.FAILED, "failed:1; why"),
        (Asked.ROLLBACK, 2, "", "step\nerror: leads to 1.0 only", ReplyOutcome.REFUSED, "leads to 1.0 only"),
        (Asked.UNDEPLOY, 75, "", "busy: notes: reconcile works on it", ReplyOutcome.BUSY, "busy: notes: reconcile"),
        (Asked.UNDEPLOY, -9, "", "", ReplyOutcome.FAILED, "ended with -9 and no word"),
    ],
)
def test_how_an_errand_ended_is_told(
    action: Asked, code: int, output: str, errors: str, outcome: ReplyOutcome, text: str
) -> None:
    found = errand_words.tell_end(action, ErrandEnd(code=code, output=output, errors=errors))
    assert found[0] is outcome
    assert text in found[1]
    assert "step" not in found[1]
    assert (found[2] is not None) == (action in (Asked.PREFLIGHT, Asked.PLAN) and bool(output))
