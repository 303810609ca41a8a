"""Requests of processes without privileges, and the replies that they wait for."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.request import Reply
from reconciler.state.locks import wait_until_free
from reconciler.state.requests import Replies
from tests.daemon.scenes import asked, deployed
from tests.hosts.engine_host import V1, V2, EngineHost
from tests.waiting import until

MAJOR = "2.0.0+6.0.0"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with asked(tmp_path / "host") as made:
        yield made


def leave(
    host: EngineHost, action: str, owner: int | None = None, *, age_s: float = 0, hardlink: bool = False, **fields: Any
) -> str:
    """Put a request there as its own user would; its id."""
    request = secrets.token_hex(16)
    spool = host.state / "requests"
    hidden = spool / f".{request}"
    hidden.write_text(json.dumps({"schema_version": 1, "action": action, "id": request, "by": "anna", **fields}))
    if owner is not None:
        os.chown(hidden, owner, -1)
    if age_s:
        then = time.time() - age_s
        os.utime(hidden, (then, then))
    if hardlink:
        os.link(hidden, host.home / request)
    hidden.rename(spool / f"{request}.json")
    return request


def answer(host: EngineHost, request: str) -> Reply:
    replies = Replies(host.state / "replies")
    until(lambda: replies.read(request) is not None, 30, "the request is answered")
    found = replies.read(request)
    assert found is not None
    return found


def ask(host: EngineHost, action: str, owner: int | None = None, **how: Any) -> tuple[str, str]:
    found = answer(host, leave(host, action, owner, **how))
    return found.outcome, found.text


@pytest.mark.usefixtures("as_root")
def test_a_human_decides_through_the_page_and_nobody_else_does(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        host.release(MAJOR)
        until(lambda: any(alert.reason == "held-major" for alert in host.observed.alerts()), 30, "it is held")
        wish: dict[str, Any] = {"app": "notes", "version": MAJOR, "reason": "read the notes"}
        refused = ask(host, "approve", owner=65534, **wish)
        assert (refused[0], "is not for nobody" in refused[1]) == ("refused", True)
        app = host.program.build()
        assert ask(host, "approve", hardlink=True, **wish)[0] == "refused"
        late = ask(host, "approve", age_s=600, **wish)
        assert (late[0], "ask again if you still want it" in late[1]) == ("refused", True)
        assert app.ports.store.memory(app.specs[0].app).approvals == ()
        assert ask(host, "approve", **wish)[0] == "done"
        deployed(host, MAJOR)
        [approval] = app.ports.store.memory(app.specs[0].app).approvals
        assert (approval.reason, approval.actor) == ("read the notes", "anna through root")


def test_what_came_of_a_request_is_told_to_whoever_asked(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        assert ask(host, "reconcile")[0] == "done"
        rows: list[tuple[str, dict[str, Any], str, str]] = [
            ("retry", {"app": "nobody"}, "refused", "no app of that name is declared here"),
            ("retry", {}, "refused", "needs an app"),
            ("approve", {"app": "notes", "version": "9", "reason": "x"}, "refused", "is not a version"),
            ("approve", {"app": "notes", "version": MAJOR}, "refused", "an approval needs a reason"),
            ("suspend", {"app": "notes", "reason": "x", "until": "soon"}, "refused", "neither a time nor a duration"),
            ("suspend", {"app": "notes", "reason": "x", "until": "2h"}, "done", "is suspended until"),
            ("resume", {"app": "notes"}, "done", "resumed"),
            ("retry", {"app": "notes"}, "done", "0 quarantined releases forgotten"),
            ("test", {"app": "notes", "comment": "!testme"}, "refused", "is no canonical"),
        ]
        for action, fields, outcome, says in rows:
            found = ask(host, action, **fields)
            assert (found[0], says in found[1]) == (outcome, True), (action, fields, found)
        app = host.program.build()
        held = wait_until_free(app.clock, 20, 0.05, lambda: app.ports.locks.acquire(app.specs[0].app, "a test"))
        assert ask(host, "resume", app="notes")[0] == "busy"
        held.release()


def test_replies_are_bounded(tmp_path: Path) -> None:
    replies = Replies(tmp_path / "replies")
    replies.prepare()
    shape = {"schema_version": 1, "action": "retry", "outcome": "done", "text": "x", "at": "2026-11-29T00:00:00Z"}
    for number in range(520):
        replies.put(Reply.model_validate(shape | {"id": f"{number:032x}"}))
    assert len(list((tmp_path / "replies").iterdir())) == 500
    assert replies.read(f"{0:032x}") is None
    assert replies.read(f"{519:032x}") is not None
    assert replies.read("../../etc/passwd") is None


@pytest.mark.usefixtures("as_root")
def test_a_way_back_is_looked_for_and_taken_and_the_loop_goes_on(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        people = host.observed.data() / "people"
        people.write_text("of the first\n")
        host.release(V2)
        deployed(host, V2)
        looked = answer(host, leave(host, "preflight", app="notes"))
        assert looked.document is not None
        assert (looked.outcome, looked.document["rollback_to"], looked.document["problems"]) == ("done", V1, [])
        planned = answer(host, leave(host, "plan", app="notes"))
        assert planned.document is not None
        assert planned.document["app"] == "notes"
        back: dict[str, Any] = {"app": "notes", "reason": "pages are empty"}
        assert ask(host, "rollback", owner=65534, version=V1, **back)[0] == "refused"
        assert ask(host, "rollback", **back)[0] == "refused"
        elsewhere = ask(host, "rollback", version="1.0.0+4.0.0", **back)
        assert (elsewhere[0], f"can go back to {V1} only" in elsewhere[1]) == ("refused", True)
        assert host.observed.known() == V2
        done = ask(host, "rollback", version=V1, **back)
        assert (done[0], "rolled-back" in done[1]) == ("done", True), done
        assert (host.observed.known(), people.read_text()) == (V1, "of the first\n")
        lines = (host.state / "history.jsonl").read_text().splitlines()
        [line] = [found for found in map(json.loads, lines) if found["result"].startswith("rolled-back")]
        assert line["actor"] == "anna through root"
        down = ask(host, "undeploy", app="notes", reason="move the disk")
        assert (down[0], "is down until" in down[1]) == ("done", True), down
        assert ask(host, "resume", app="notes")[0] == "done"
        deployed(host, V1)
    host.observed.check()
