"""A pull request on a real Gitea asks for tests, and is answered there: comments, statuses, stops."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.scenes import QUICK
from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.live import gitea
from tests.live.gitea import Gitea
from tests.runs.scenes import commit
from tests.waiting import until
from tests.web.site import Site

pytestmark = [pytest.mark.long, pytest.mark.live, pytest.mark.suites, pytest.mark.timeout(3600)]
REPOSITORY = "/repos/anna/notes"
TEAMS = ("testers", "old-testers", "watchers")
SECRET = "a secret of the forge"


class Forge:
    """The host, its page and the Gitea, with one pull request."""

    def __init__(self, server: Gitea, host: EngineHost, page: Site) -> None:
        self.server, self.host, self.page = server, host, page
        self.number = 0

    def open(self) -> None:
        """The recipe, its hook, and a pull request with a release of its own."""
        self.server.api("anna", "POST", "/user/repos", {"name": "notes", "default_branch": "main"})
        self.server.api("anna", "PUT", f"{REPOSITORY}/collaborators/ci", {"permission": "write"})
        config = {"url": f"{self.page.url}/hooks/forge", "content_type": "json", "secret": SECRET}
        events = ["issue_comment", "pull_request_comment", "pull_request_sync"]
        hook = {"type": "gitea", "active": True, "config": config, "events": events}
        self.server.api("anna", "POST", f"{REPOSITORY}/hooks", hook)
        self.push("HEAD:refs/heads/main", "--tags")
        self.change("first")
        until(lambda: self.branches() >= {"main", "change"}, 60, "Gitea knows what was pushed")
        pull = {"title": "a change", "head": "change", "base": "main"}
        self.number = self.server.api("anna", "POST", f"{REPOSITORY}/pulls", pull)["number"]

    def branches(self) -> set[str]:
        return {one["name"] for one in self.server.api("anna", "GET", f"{REPOSITORY}/branches") or ()}

    def push(self, *words: str) -> None:
        url = f"http://anna:{gitea.PASSWORD}@127.0.0.1:{self.server.port}/anna/notes.git"
        self.host.recipe.git("push", "--quiet", "--force", url, *words)

    def change(self, text: str) -> str:
        """Push a commit to the branch of the pull request; its id."""
        commit(self.host, {"README.md": text})
        self.push("HEAD:refs/heads/change")
        return self.host.recipe.git("rev-parse", "HEAD").strip()

    def say(self, user: str, text: str) -> None:
        self.server.api(user, "POST", f"{REPOSITORY}/issues/{self.number}/comments", {"body": text})

    def answers(self) -> list[str]:
        """What ci-warm has written, as it stands now."""
        found = self.server.api("anna", "GET", f"{REPOSITORY}/issues/{self.number}/comments")
        return [one["body"] for one in found if one["user"]["login"] == "ci"]

    def has_more_than(self, count: int) -> bool:
        return len(self.answers()) > count

    def statuses(self, sha: str) -> list[tuple[str, str]]:
        """Context and state, the newest last."""
        found = self.server.api("anna", "GET", f"{REPOSITORY}/commits/{sha}/statuses")
        return [(one["context"], one["status"]) for one in sorted(found, key=lambda one: int(one["id"]))]


@pytest.fixture(scope="module")
def program() -> Path:
    from tests.conftest import missing

    try:
        return gitea.build()
    except (OSError, subprocess.SubprocessError) as exc:
        missing(f"a real Gitea needs Go 1.26 and its module proxy: {exc}")
        raise


@pytest.fixture
def forge(program: Path, tmp_path: Path) -> Iterator[Forge]:
    health: dict[str, Any] = {"min_healthy": "100ms", "successes": 1}
    with (
        gitea.serving(program, tmp_path / "gitea") as server,
        engine_host(tmp_path / "host", "embedded", extra={"kind": "canonical"}, health=health) as host,
    ):
        token, secret = host.home / "token", host.home / "secret"
        token.write_text(server.tokens["ci"])
        secret.write_text(SECRET)
        page = Site(home=host.home / "etc", state=host.state)
        hook = {"secret": str(secret), "users": ["anna"], "teams": ["crew/testers"]}
        web = {"listen": f"127.0.0.1:{page.port}", "user": pwd.getpwuid(os.getuid()).pw_name, "hook": hook}
        told = {"url": server.url, "token": str(token), "kind": "gitea", "page": "https://ci.example.net"}
        host.set(daemon=QUICK, fetch_every="1s", web=web, forge=told)
        host.release(V1)
        made = Forge(server, host, page)
        page.write = lambda: host.program.config  # type: ignore[method-assign]  # one file for daemon and page
        with page.serving():
            made.open()
            host.extra["recipe"] = {"url": f"{server.url}/anna/notes.git"}
            host.write_spec()
            assert host.program.test().promoted
            yield made
        host.observed.check()


def test_a_comment_is_answered_and_a_status_gates(forge: Forge) -> None:
    head = forge.change("second")
    with forge.host.program.daemon():
        until((forge.host.state / "requests").is_dir, 30, "the daemon takes requests")
        forge.say("anna", "!testme\nplease")
        until(lambda: any("**green**" in one for one in forge.answers()), 120, "the comment says that it is green")
        until(lambda: forge.statuses(head)[-1:] == [("ci-warm/cold", "success")], 30, "the status gates")
        [answer] = forge.answers()
        assert "cold test of `" in answer and "confidence full" in answer and "https://ci.example.net/runs/" in answer

        quick = forge.change("third")
        forge.say("anna", "!testme --quick")
        until(lambda: sum("**green**" in one for one in forge.answers()) == 2, 120, "the quick one, too")
        assert "confidence lower" in forge.answers()[-1]
        assert forge.statuses(quick) == [], "nothing waits for a quick run"

        forge.say("anna", "!testme --quik")
        until(lambda: "**not tested**" in forge.answers()[-1], 60, "a near miss is answered")
        forge.say("bob", "!testme")
        forge.say("anna", "    !testme")
        forge.say("anna", "looks good")
        forge.say("anna", "!testme --quick")
        until(lambda: sum("**green**" in one for one in forge.answers()) == 3, 120, "what came after was heard")
        assert len(forge.answers()) == 4, "nobody else is heard, nor code"


def test_a_push_and_a_word_stop_a_test(forge: Forge) -> None:
    commit(forge.host, {"ci/slow.sh": "#!/bin/sh\nexec sleep 300\n"})
    head = forge.change("slow")
    forge.host.write_spec(tests={"checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})
    with forge.host.program.daemon():
        until((forge.host.state / "requests").is_dir, 30, "the daemon takes requests")
        for ends in ("word", "push"):
            before = len(forge.answers())
            forge.say("anna", "!testme")
            until(partial(forge.has_more_than, before), 60, "it is told")
            until(lambda: "**running**" in forge.answers()[-1], 60, "it runs")
            if ends == "word":
                forge.say("anna", "!testme --stop")
            else:
                forge.change("newer")
            until(lambda: "**stopped**" in forge.answers()[-1], 90, f"stopped by a {ends}")
        until(lambda: forge.statuses(head)[-1] == ("ci-warm/cold", "error"), 30, "the status says so, too")


def test_who_is_in_a_team_may_ask(forge: Forge) -> None:
    api = forge.server.api
    api("anna", "POST", "/orgs", {"username": "crew"})
    units = {"units": ["repo.code"], "permission": "read"}
    made = {name: api("anna", "POST", "/orgs/crew/teams", {"name": name, **units})["id"] for name in TEAMS}
    with forge.host.program.daemon():
        until((forge.host.state / "requests").is_dir, 30, "the daemon takes requests")
        api("anna", "PUT", f"/teams/{made['watchers']}/members/ci")  # whom the daemon asks as
        api("anna", "PUT", f"/teams/{made['testers']}/members/ci")
        api("anna", "PUT", f"/teams/{made['old-testers']}/members/bob")
        forge.say("bob", "!testme --quick")
        until(
            lambda: "is in none of the teams" in forge.host.program.daemon_log.read_text(), 60, "bob is in no such team"
        )
        api("anna", "PUT", f"/teams/{made['testers']}/members/bob")
        forge.say("bob", "!testme --quick")
        until(lambda: any("**green**" in one for one in forge.answers()), 120, "bob's is tested")
        assert len(forge.answers()) == 1
