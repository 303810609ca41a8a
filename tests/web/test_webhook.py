"""A forge's webhook, as Forgejo, Gitea and GitHub send it, to a real process."""

import hashlib
import hmac
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from reconciler.core.testrun import hook
from reconciler.model.app import AppSpec
from reconciler.web.webhook import Deliveries
from tests.web.site import Site, copy_state

SECRET = "a secret of the forge"
URL = "https://git.example.org/recipes/notes.git"
_count = iter(range(1_000_000))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hook")
    made = Site(home=folder / "etc", state=copy_state(folder / "state"))
    made.more = {"hook": {"secret": str(folder / "secret"), "users": ["anna"]}}
    (folder / "secret").write_text(SECRET + "\n")
    apps = folder / "etc" / "apps"
    apps.mkdir(parents=True)
    common = {"recipe": {"url": URL}, "stateful": True}
    canonical = {"name": "notes-test", "kind": "canonical", "domain": "notes.example.net", **common}
    live = {"name": "notes", "domain": "live.example.net", **common}
    for spec in (canonical, live):
        (apps / f"{spec['name']}.yaml").write_text(json.dumps(spec))
    with made.serving():
        yield made


def comment(body: str = "!testme", **changes: Any) -> dict[str, Any]:
    """What the forges' own documents have in common, with what they have besides; each is another one."""
    document: dict[str, Any] = {
        "action": "created",
        "issue": {"number": 12, "title": "x", "pull_request": {"merged": False}},
        "comment": {"id": next(_count), "body": body, "user": {"id": 7, "login": "anna"}},
        "repository": {
            "full_name": "recipes/notes",
            "clone_url": URL,
            "ssh_url": "git@git.example.org:recipes/notes.git",
        },
        "sender": {"login": "anna"},
        "is_pull": True,
    }
    return document | changes


def deliver(site: Site, document: Any, **headers: str) -> requests.Response:
    """As Forgejo does, unless other headers are given; "" leaves one out."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    sent = {
        "x-forgejo-event": "issue_comment",
        "x-forgejo-delivery": f"delivery-{next(_count)}",
        "x-forgejo-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        "content-type": "application/json",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return site.ask("POST", "/hooks/forge", data=body, headers={name: one for name, one in sent.items() if one})


def left(site: Site) -> list[dict[str, Any]]:
    """The requests that lie there; taken out."""
    found = []
    for path in (site.state / "requests").iterdir():
        found.append(json.loads(path.read_text()))
        path.unlink()
    return found


@pytest.mark.parametrize(("body", "wanted"), [("!testme\nplease", "!testme"), ("!testme --quick", "!testme --quick")])
def test_a_comment_asks_for_a_test_of_its_head(body: str, wanted: str, site: Site) -> None:
    answer = deliver(site, comment(body))
    assert answer.status_code == 202, answer.text
    [request] = left(site)
    assert {key: request[key] for key in ("action", "app", "ref", "comment", "by")} == {
        "action": "test",
        "app": "notes-test",
        "ref": "refs/pull/12/head",
        "comment": wanted,
        "by": "anna (forge)",
    }
    assert answer.json()["id"] == request["id"]


def test_what_a_forge_saw_at_the_head_goes_with_the_request(site: Site) -> None:
    """A push that is told late must be known from one that came later."""
    sha = "0123456789abcdef" * 2 + "01234567"
    pull = {"number": 12, "head": {"sha": sha}}
    assert deliver(site, comment(pull_request=pull)).status_code == 202
    pushed = {"action": "synchronized", "pull_request": pull, **{k: comment()[k] for k in ("repository", "sender")}}
    assert deliver(site, pushed, x_forgejo_event="pull_request").status_code == 202
    assert deliver(site, comment("!testme --stop", pull_request=pull)).status_code == 202
    assert deliver(site, comment(pull_request={"head": {"sha": "../x"}})).status_code == 202
    found = {(request["action"], request["head"]) for request in left(site)}
    assert found == {("test", sha), ("stop", sha), ("stop", ""), ("test", "")}


def test_the_other_forges_are_understood(site: Site) -> None:
    none = {"x_forgejo_event": "", "x_forgejo_delivery": "", "x_forgejo_signature": ""}
    for event, signature, prefix in (
        ("x_gitea_event", "x_gitea_signature", ""),
        ("x_github_event", "x_hub_signature_256", "sha256="),
    ):
        body = json.dumps(comment()).encode()
        signed = prefix + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert deliver(site, body, **none, **{event: "issue_comment", signature: signed}).status_code == 202
        assert len(left(site)) == 1


NOTHING = {
    "another event": ({"x_forgejo_event": "push"}, comment()),
    "an edit": ({}, comment(action="edited")),
    "a comment on an issue": ({}, comment(issue={"number": 12}, is_pull=False)),
    "a comment about something else": ({}, comment("looks good")),
    "code": ({}, comment("    !testme")),
    "a pull request that is opened": ({"x_forgejo_event": "pull_request"}, {"action": "opened"}),
}


@pytest.mark.parametrize(("headers", "document"), NOTHING.values(), ids=NOTHING)
def test_what_asks_for_nothing_is_taken_and_does_nothing(headers: dict[str, str], document: Any, site: Site) -> None:
    answer = deliver(site, document, **headers)
    assert (answer.status_code, answer.json()["id"], left(site)) == (202, "", [])


BAD = {
    "unsigned": ({"x_forgejo_signature": ""}, comment(), 401),
    "signed by another": ({"x_forgejo_signature": "0" * 64}, comment(), 401),
    "a signature that is none": ({"x_forgejo_signature": "sha256=zz"}, comment(), 401),
    "no JSON": ({}, b"{", 422),
    "deeply nested": ({}, b"[" * 100_000, 422),
    "a list": ({}, [], 422),
    "no comment": ({}, comment(comment=None), 422),
    "a number that is a path": ({}, comment(issue={"number": "1/../2", "pull_request": {}}), 422),
    "a negative number": ({}, comment(issue={"number": -1, "pull_request": {}}), 422),
    "a near miss of somebody who may not ask": (
        {},
        comment(comment={"body": "!testme --fast", "user": {"login": "eve"}}),
        422,
    ),
    "a push without a number": ({"x_forgejo_event": "pull_request"}, {"action": "synchronized"}, 422),
    "another user": ({}, comment(comment={"body": "!testme", "user": {"login": "eve"}}), 403),
    "another repository": ({}, comment(repository={"clone_url": "https://git.example.org/recipes/other"}), 404),
    "too large": ({}, b" " * ((1 << 20) + 1), 413),
}


@pytest.mark.parametrize(("headers", "document", "status"), BAD.values(), ids=BAD)
def test_what_is_not_right_is_refused_and_says_why(
    headers: dict[str, str], document: Any, status: int, site: Site
) -> None:
    answer = deliver(site, document, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert left(site) == []


def test_who_may_ask_and_misspells_it_is_told_where_they_asked(site: Site) -> None:
    assert deliver(site, comment("!testme --fast")).status_code == 422
    [request] = left(site)
    assert (request["action"], request["forge"]) == ("tell", {"repository": "recipes/notes", "number": 12})
    assert "`!testme --quick`" in request["reason"]


@pytest.mark.parametrize(("body", "action"), [("!testme", "test"), ("!testme --stop", "stop"), ("!testme -x", "tell")])
def test_with_teams_the_daemon_asks_who_may(body: str, action: str, site: Site, tmp_path: Path) -> None:
    """This process has no token of the forge."""
    hook = site.more["hook"]
    other = Site(home=tmp_path / "etc", state=site.state, more={"hook": hook | {"teams": ["recipes/crew"]}})
    other.settings = {"forge": {"url": "https://git.example.org", "token": str(tmp_path / "token")}}
    shutil.copytree(site.home / "apps", other.home / "apps")
    eve = comment(comment={"id": next(_count), "body": body, "user": {"login": "eve"}})
    with other.serving():
        assert deliver(other, eve).status_code == (422 if action == "tell" else 202)
        assert deliver(other, comment(body)).status_code == (422 if action == "tell" else 202)
    assert [(one["action"], one["member"]) for one in sorted(left(site), key=lambda one: one["member"])] == [
        (action, ""),
        (action, "eve"),
    ]


def push(action: str) -> dict[str, Any]:
    """What is pushed to a pull request, as Forgejo and Gitea (`synchronized`) and GitHub (`synchronize`) tell it."""
    repository = comment()["repository"]
    pull = {"number": 12, "head": {"sha": f"{next(_count):040x}"}}
    return {"action": action, "pull_request": pull, "repository": repository, "sender": {"login": "eve"}}


@pytest.mark.parametrize(
    ("event", "document"),
    [
        ("issue_comment", comment("!testme --stop")),
        ("pull_request", push("synchronized")),
        ("pull_request", push("synchronize")),
    ],
)
def test_what_was_asked_for_is_taken_back(event: str, document: dict[str, Any], site: Site) -> None:
    assert deliver(site, document, x_forgejo_event=event).status_code == 202
    [request] = left(site)
    assert (request["action"], request["app"], request["ref"]) == ("stop", "notes-test", "refs/pull/12/head")


def test_a_delivery_that_is_sent_again_does_nothing(site: Site) -> None:
    document = comment()
    for status in (202, 409):  # with another id each time, which nobody has signed
        assert deliver(site, document).status_code == status
    assert len(left(site)) == 1
    assert "hook_refused" in (site.home / "log").read_text()


def test_a_spec_that_is_wrong_or_not_for_us_keeps_no_other_from_being_tested(site: Site) -> None:
    (site.home / "apps" / "wrong.yaml").write_text("name: [")
    try:
        assert deliver(site, comment()).status_code == 202
    finally:
        (site.home / "apps" / "wrong.yaml").unlink()
    assert len(left(site)) == 1


def test_what_fails_for_a_reason_of_ours_can_be_sent_again(site: Site) -> None:
    document, spool = comment(), site.state / "requests"
    spool.rename(site.state / "away")
    assert deliver(site, document).status_code == 503
    (site.state / "away").rename(spool)
    assert deliver(site, document).status_code == 202
    assert len(left(site)) == 1


def test_without_a_hook_nothing_is_heard(tmp_path: Path) -> None:
    site = Site(home=tmp_path / "etc", state=copy_state(tmp_path / "state"))
    with site.serving():
        assert deliver(site, comment()).status_code == 404


def test_deliveries_are_remembered_within_bounds() -> None:
    at = [0.0]
    deliveries = Deliveries(lambda: at[0])
    assert deliveries.is_new("a") and not deliveries.is_new("a")
    for number in range(10_000):
        assert deliveries.is_new(str(number))
    assert deliveries.is_new("a"), "the oldest was forgotten"
    at[0] = 8 * 86400.0
    assert deliveries.is_new("9999"), "after a week"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://git.example.org/recipes/notes.git", "ssh://git@git.example.org:2222/recipes/notes", True),
        ("git@git.example.org:recipes/notes.git", "https://git.example.org/recipes/Notes/", True),
        ("https://git.example.org/recipes/notes", "https://evil.example.org/recipes/notes", False),
        ("https://git.example.org/a/recipes/notes", "https://git.example.org/recipes/notes", False),
        ("file:///srv/recipes/notes", "https://git.example.org/srv/recipes/notes", False),
    ],
)
def test_a_repository_is_known_by_host_and_path(one: str, other: str, same: bool) -> None:
    spec = {"name": "n", "kind": "canonical", "recipe": {"url": one}, "domain": "n.example.net", "stateful": True}
    assert (hook.find_canonical([other], [AppSpec.model_validate(spec)]) == "n") is same
