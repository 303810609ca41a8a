"""Realms with a server in memory: what is made, kept, reaped, and what never is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.core.host import realm_names
from reconciler.engine.testrun import realms
from reconciler.engine.testrun.realms import RealmContext
from reconciler.model.errors import ActError, ObserveError, StateError, UsageError
from reconciler.model.realm import Credentials
from reconciler.model.settings import KeycloakSettings
from reconciler.state.alerts import AlertStore
from reconciler.state.realms import RealmStore
from tests.fakes.world import Clock


@dataclass
class Server:
    """A Keycloak that can be away, refuse, or make a realm and lose the answer."""

    made: dict[str, str] = field(
        default_factory=lambda: {"master": "", "acme-abcdef": "", "other-123456": "their mark"}
    )
    away: bool = False
    loses_answer: bool = False
    taken: bool = False

    def owners(self) -> Mapping[str, str]:
        if self.away:
            raise ObserveError("list realms: away")
        return dict(self.made)

    def create(self, realm: str, owner: str) -> Credentials:
        if self.taken:
            self.made[realm] = ""
            raise ActError(f"realm {realm} is taken", permanent=True)
        self.made[realm] = owner
        if self.loses_answer:
            raise ActError("create realm: time-out", host_fault=True)
        return Credentials(
            realm=realm, issuer="i", discovery="d", client_id="c", client_secret="s", username="u", password="p"
        )

    def delete(self, realm: str) -> bool:
        return self.made.pop(realm, None) is not None


@pytest.fixture
def keeper(tmp_path: Path) -> RealmContext:
    clock = Clock()
    alerts = AlertStore(tmp_path / "alerts")
    alerts.prepare()
    settings = KeycloakSettings(app="keycloak", password_file="/p", cap=6, warn=5)
    desk = RealmStore(tmp_path / "realms", clock.now)
    return RealmContext(realms=Server(), store=desk, alerts=alerts, clock=clock, settings=settings)


def server(keeper: RealmContext) -> Server:
    assert isinstance(keeper.realms, Server)
    return keeper.realms


def test_a_lease_is_distinct_alive_while_it_lasts_and_gone_after_it(keeper: RealmContext) -> None:
    with realms.lease(keeper, "notes") as one, realms.lease(keeper, "notes") as two:
        names = {one.credentials.realm, two.credentials.realm}
        assert len(names) == 2
        assert Path(one.file).stat().st_mode & 0o777 == 0o600
        assert set(realms.survey(keeper).alive) == names
        assert realms.reap(keeper).removed == []
    assert set(server(keeper).made) == {"master", "acme-abcdef", "other-123456"}
    assert not Path(one.file).exists()


def test_a_command_that_throws_leaves_nothing(keeper: RealmContext) -> None:
    with pytest.raises(RuntimeError), realms.lease(keeper, "notes"):
        raise RuntimeError
    assert len(server(keeper).made) == 3


def test_a_realm_whose_making_was_not_answered_is_taken_back(keeper: RealmContext) -> None:
    server(keeper).loses_answer = True
    with pytest.raises(ActError, match="time-out"), realms.lease(keeper, "notes"):
        pass
    assert len(server(keeper).made) == 3


def test_a_name_that_is_taken_is_never_deleted(keeper: RealmContext) -> None:
    server(keeper).taken = True
    with pytest.raises(ActError, match="is taken"), realms.lease(keeper, "notes"):
        pass
    assert len(server(keeper).made) == 4


def test_only_what_is_dead_and_ours_is_reaped(keeper: RealmContext) -> None:
    server(keeper).made["notes-0a1b2c"] = keeper.store.owner
    server(keeper).made["no-run"] = keeper.store.owner
    assert realms.reap(keeper, dry_run=True).removed == ["notes-0a1b2c"]
    assert len(server(keeper).made) == 5
    done = realms.reap(keeper)
    assert (done.removed, done.alive) == (["notes-0a1b2c"], [])
    assert set(server(keeper).made) == {"master", "acme-abcdef", "other-123456", "no-run"}
    assert realms.reap(keeper).removed == []


def test_one_that_is_just_starting_is_left_alone(keeper: RealmContext) -> None:
    held = keeper.store.acquire("notes-0a1b2c", "starting")
    server(keeper).made["notes-0a1b2c"] = keeper.store.owner
    assert realms.reap(keeper).alive == ["notes-0a1b2c"]
    held.release()
    assert realms.reap(keeper).removed == ["notes-0a1b2c"]


def test_the_cap_refuses_and_the_alert_comes_before_it(keeper: RealmContext) -> None:
    server(keeper).made |= {"a": "", "b": ""}
    with realms.lease(keeper, "notes"):
        [alert] = [alert for _, alert in keeper.alerts.open()]
        assert alert.reason == "realms"
        with pytest.raises(ActError, match="there are 6 realms, and the cap is 6"), realms.lease(keeper, "notes"):
            pass
    del server(keeper).made["a"], server(keeper).made["b"]
    realms.survey(keeper)
    assert keeper.alerts.open() == []


def test_a_server_that_is_away_is_unknown_and_not_empty(keeper: RealmContext) -> None:
    server(keeper).away = True
    with pytest.raises(ObserveError):
        realms.reap(keeper)


def test_the_mark_of_this_host_is_never_empty(tmp_path: Path) -> None:
    desk = RealmStore(tmp_path / "realms", Clock().now)
    assert RealmStore(tmp_path / "realms", Clock().now).owner == desk.owner
    (tmp_path / "realms" / ".owner").write_text("\n")
    with pytest.raises(StateError, match="every realm ours"):
        RealmStore(tmp_path / "realms", Clock().now)


@pytest.mark.parametrize("recipe", ["Master", "a/b", "", "x" * 80, "a\n"])
def test_names_that_no_realm_may_have(keeper: RealmContext, recipe: str) -> None:
    with pytest.raises(UsageError), realms.lease(keeper, recipe):
        pass


@pytest.mark.parametrize(
    ("name", "expected"),
    [("master", False), ("notes-0a1b2c", True), ("notes-0a1b2", False), ("notes-0A1B2C", False), ("-0a1b2c", False)],
)
def test_what_looks_like_a_run(name: str, expected: bool) -> None:
    assert realm_names.is_of_a_run(name) is expected
