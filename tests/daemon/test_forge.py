"""Tests that a forge waits for: one comment that is edited, a status, and all of it across the daemon's end."""

import json
import os
import pwd
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.scenes import QUICK
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.runs.scenes import commit
from tests.waiting import until
from tests.web.forge import TOKEN, FakeForge, forge

pytestmark = pytest.mark.timeout(300)
PLACE = {"repository": "recipes/notes", "number": 12}
SLOW = "#!/bin/sh\nexec sleep 300\n"


@pytest.fixture
def server() -> Iterator[FakeForge]:
    with forge() as made:
        yield made


@pytest.fixture
def host(tmp_path: Path, server: FakeForge) -> Iterator[EngineHost]:
    health = {"min_healthy": "100ms", "successes": 1}
    with engine_host(tmp_path / "host", "embedded", extra={"kind": "canonical"}, health=health) as made:
        token = made.home / "token"
        token.write_text(f"{TOKEN}\n")
        told = {"url": server.url, "token": str(token), "page": "https://ci.example.net"}
        made.set(daemon=QUICK, fetch_every="1s", forge=told, web={"user": pwd.getpwuid(os.getuid()).pw_name})
        made.release(V1)
        assert made.program.test().promoted
        yield made
        made.observed.check()


def ask(host: EngineHost, action: str, *, uid: int = -1, **fields: Any) -> str:
    """What the page's process leaves for a comment on a pull request. `uid`: of another, -1: ours."""
    until((host.state / "requests").is_dir, 30, "the daemon takes requests")
    name = secrets.token_hex(16)
    document = {"schema_version": 1, "action": action, "app": host.name, "id": name, "by": "anna (forge)", **fields}
    (host.state / "requests" / f".{name}").write_text(json.dumps(document))
    os.chown(host.state / "requests" / f".{name}", uid, -1)
    (host.state / "requests" / f".{name}").rename(host.state / "requests" / f"{name}.json")
    return name


def waiting(host: EngineHost) -> list[Path]:
    return list((host.state / "asked").glob("*.json"))


def last(server: FakeForge) -> str:
    return next(iter(server.comments.values()), [""])[-1]


def test_one_comment_goes_along_with_the_run_and_a_status_gates(host: EngineHost, server: FakeForge) -> None:
    host.release(V2, SCHEMA="2")
    with host.program.daemon():
        ask(host, "test", ref=V2, comment="!testme", forge=PLACE)
        until(lambda: "**green**" in last(server), 60, "the comment says that it is green")
        until(lambda: not waiting(host), 20, "nothing is waited for any more")
    [texts] = server.comments.values()
    assert all("cold test of `" in text and "confidence full" in text for text in texts)
    assert "| install | passed |" in texts[-1] and "https://ci.example.net/runs/" in texts[-1]
    assert {(one["context"], one["sha"]) for one in server.statuses} == {("ci-warm/cold", server.statuses[0]["sha"])}
    assert [one["state"] for one in server.statuses][-1] == "success"
    assert len({json.dumps(one) for one in server.statuses}) == len(server.statuses), "the same is told once"


def test_who_is_in_a_team_may_ask_and_nobody_else(host: EngineHost, server: FakeForge) -> None:
    web = json.loads(host.program.config.read_text())["web"]
    host.set(web=web | {"hook": {"secret": "/nowhere", "teams": ["recipes/crew"]}})
    server.teams = {"crew-of-old": ["eve"], "crew": ["bob"]}
    server.away = True
    with host.program.daemon():
        asked = [ask(host, "test", ref=V1, comment="!testme", forge=PLACE, member=who) for who in ("bob", "eve")]
        until(lambda: len(list((host.state / "unproven").glob("*.json"))) == 2, 30, "both wait for the forge")
    server.away = False
    with host.program.daemon():  # what waits survives the daemon
        until(lambda: "**green**" in last(server), 60, "bob's is tested")
        replies = host.state / "replies"
        until(lambda: all((replies / f"{name}.json").exists() for name in asked), 30, "both are told")
    said = [json.loads((replies / f"{name}.json").read_text()) for name in asked]
    assert [one["outcome"] for one in said] == ["done", "refused"]
    assert said[1]["text"] == "eve is in none of the teams that may ask: recipes/crew"
    assert len(server.comments) == 1
    assert list((host.state / "unproven").iterdir()) == []


def test_without_teams_a_member_is_nobody(host: EngineHost, server: FakeForge) -> None:
    with host.program.daemon():
        name = ask(host, "test", ref=V1, comment="!testme", forge=PLACE, member="bob")
        reply = host.state / "replies" / f"{name}.json"
        until(reply.exists, 30, "it is told")
    assert json.loads(reply.read_text())["outcome"] == "refused"
    assert server.comments == {}


def test_a_quick_run_gates_nothing(host: EngineHost, server: FakeForge) -> None:
    with host.program.daemon():
        ask(host, "test", ref=V1, comment="!testme --quick", forge=PLACE)
        until(lambda: "**green**" in last(server), 60, "the comment says that it is green")
    assert "quick test of `" in last(server) and "confidence lower" in last(server)
    assert server.statuses == []


def test_a_forge_that_is_away_is_told_later_and_a_deleted_comment_anew(host: EngineHost, server: FakeForge) -> None:
    gate = host.home / "gate"
    commit(host, {"ci/gate.sh": f"#!/bin/sh\nuntil [ -e {gate} ]; do sleep 0.1; done\n"})
    host.release(V2, SCHEMA="2")
    host.write_spec(tests={"checks": [{"name": "gate", "run": ["ci/gate.sh"]}]})
    server.away = True
    with host.program.daemon():
        ask(host, "test", ref=V2, comment="!testme", forge=PLACE)
        until(lambda: any(line.get("event") == "forge" for line in host.observed.log()), 60, "it is logged")
        server.away = False
        until(lambda: "**running**" in last(server), 60, "it is told")
        server.comments.clear()
        gate.touch()
        until(lambda: "**green**" in last(server), 60, "a comment that was deleted is written anew")
    assert TOKEN not in host.program.daemon_log.read_text()


def test_what_waits_survives_the_daemon_and_is_stopped_by_a_push(host: EngineHost, server: FakeForge) -> None:
    commit(host, {"ci/slow.sh": SLOW})
    host.release(V2, SCHEMA="2")
    host.write_spec(tests={"checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})
    with host.program.daemon():
        request = ask(host, "test", ref=V2, comment="!testme", forge=PLACE)
        until(lambda: "**running**" in last(server), 60, "it runs")
        until(lambda: any((host.state / "runs").glob("*/custom.log")), 60, "the slow check began")
    assert [path.stem for path in waiting(host)] == [request]
    with host.program.daemon():
        until(lambda: "interrupted" not in last(server) and "**running**" in last(server), 60, "it runs again")
        ask(host, "stop", ref=V2)
        until(lambda: "**stopped**" in last(server), 120, "the comment says that it was stopped")
        until(lambda: not waiting(host), 20, "nothing is waited for any more")
    assert len(server.comments) == 1
    assert [one["state"] for one in server.statuses][-1] == "error"


def head(host: EngineHost, text: str) -> str:
    """A new commit at the branch `change`; its id."""
    commit(host, {"README.md": text})
    host.recipe.git("branch", "--force", "change")
    return host.recipe.git("rev-parse", "change").strip()


def test_a_push_that_is_told_late_stops_no_test_of_its_own_head(host: EngineHost, server: FakeForge) -> None:
    """A real Gitea told of the push after it told of the comment that came after the push."""
    commit(host, {"ci/slow.sh": SLOW})
    host.write_spec(tests={"checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})
    old = head(host, "first")
    with host.program.daemon():
        ask(host, "test", ref="change", comment="!testme", forge=PLACE, head=old)
        until(lambda: f"**running** at `{old[:12]}`" in last(server), 60, "it runs")
        ask(host, "stop", ref="change", head=old)
        until(
            lambda: "0 tests of notes at change are stopped" in host.program.daemon_log.read_text(), 30, "it is judged"
        )
        assert [path for path in waiting(host) if json.loads(path.read_text())["stopped"]] == []
        # The next push, told after somebody asked for what it brought: the old test ends, the new one goes on.
        new = head(host, "second")
        ask(host, "test", ref="change", comment="!testme", forge={**PLACE, "number": 13}, head=new)
        until(lambda: len(server.comments) == 2, 60, "both are told")
        ask(host, "stop", ref="change", head=new)
        until(lambda: "**stopped**" in last(server), 120, "the old one is stopped")
        until(lambda: f"**running** at `{new[:12]}`" in [*server.comments.values()][-1][-1], 60, "the new one runs")
        ask(host, "stop", ref="change")
        until(lambda: not waiting(host), 120, "a word without a head stops all")
    assert [alert.reason for alert in host.observed.alerts()] == []


@pytest.mark.parametrize("how", ["no such ref", "another head"])
def test_what_cannot_be_tested_is_told_and_is_no_fault_of_the_host(
    how: str, host: EngineHost, server: FakeForge
) -> None:
    old = head(host, "first")
    new = head(host, "second")
    about: dict[str, Any] = {"ref": "refs/pull/99/head"} if how == "no such ref" else {"ref": "change", "head": old}
    with host.program.daemon():
        ask(host, "test", comment="!testme", forge=PLACE, **about)
        until(lambda: "**not tested**" in last(server), 60, "the comment says why")
        until(lambda: not waiting(host), 20, "nothing is waited for any more")
    wanted = "refs/pull/99/head" if how == "no such ref" else f"change is at {new[:12]}, not at {old[:12]}"
    assert wanted in last(server)
    assert list((host.state / "asked").iterdir()) == []
    assert (host.observed.alerts(), server.statuses) == ([], [])


def test_a_run_of_another_commit_is_refused_before_it_begins(host: EngineHost) -> None:
    old, new = head(host, "first"), head(host, "second")
    ran = host.program.command("cold", host.name, "--ref", "change", "--at", old)
    assert (ran.returncode, f"change is at {new[:12]}, not at {old[:12]}" in ran.stderr) == (2, True)
    ran = host.program.command("quick", host.name, "--at", "HEAD")
    assert (ran.returncode, "--at HEAD: a commit is" in ran.stderr) == (2, True)
    ran = host.program.command("quick", host.name, "--ref", "change", "--at", new[:8])
    assert ran.returncode == 0, ran.stderr


def test_who_is_refused_is_told_why(host: EngineHost, server: FakeForge) -> None:
    with host.program.daemon():
        ask(host, "tell", reason="only `!testme` | <b>known</b> @anna", forge=PLACE)
        until(lambda: "**not tested**" in last(server), 30, "the comment says why")
        until(lambda: not waiting(host), 20, "nothing is waited for any more")
    assert "<b>" not in last(server) and "@anna" not in last(server) and r"\|" in last(server)


@pytest.mark.usefixtures("as_root")
def test_only_the_page_says_where_the_forge_is_written_to(host: EngineHost, server: FakeForge) -> None:
    other = pwd.getpwnam("nobody").pw_uid
    with host.program.daemon():
        ask(host, "tell", reason="a word of mine", forge=PLACE, uid=other)
        ask(host, "test", ref=V1, comment="!testme", forge=PLACE, uid=other)
        until(lambda: any("cold-green" in line for line in host.observed.history()[1:]), 60, "it was tested")
        until(lambda: not waiting(host), 20, "nothing is waited for any more")
    assert (server.comments, server.statuses, server.refused) == ({}, [], 0)
