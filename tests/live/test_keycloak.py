"""The example recipe on a real Keycloak with a real PostgreSQL. The tests of this file are one story, in this order."""

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import images
from tests.live.keycloak import Keycloak
from tests.live.site import PREFIX, Site, site
from tests.waiting import until

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.live,
    pytest.mark.timeout(900),
    pytest.mark.together("keycloak"),
]

A, B, BAD, NOTES = "10.7.0+26.5.5", "10.7.1+26.5.6", "10.7.2+26.5.6", "10.7.3+26.5.6"
TORN, MINOR, MAJOR = "10.8.0+26.7.3", "10.8.1+26.7.3", "11.0.0+26.7.3"
SLOW = "10.8.2+26.7.3"


@pytest.fixture(scope="module")
def keycloak(build: Callable[[Callable[[], str]], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """Keycloak 26.5.5, enrolled, with a marker realm and user."""
    build(lambda: images.postgres(PREFIX))
    for version in ("26.5.5", "26.5.6", "26.7.3"):
        build(functools.partial(images.keycloak, PREFIX, version))
    with site(tmp_path_factory.mktemp("keycloak") / "site") as host:
        made = Keycloak(host)
        host.publish("keycloak", A)
        made.enrol()
        assert made.reconcile() == f"deployed:{A}"
        made.plant()
        yield made
        host.check()


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def patch(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return patch


def test_a_healthy_patch_upgrade_keeps_the_realm(keycloak: Keycloak) -> None:
    before = keycloak.planted()
    keycloak.site.publish("keycloak", B)
    assert keycloak.reconcile() == f"upgraded:{A}->{B}"
    assert keycloak.planted() == before
    assert keycloak.log_in()["preferred_username"] == "alice"
    assert keycloak.site.last_good(keycloak.name) == B
    known = keycloak.site.build().store.known_good(keycloak.site.build().spec(keycloak.name).app)
    assert known is not None and known.fallback is not None and known.fallback.release.version == A
    assert keycloak.reconcile() == "noop-healthy"


def test_a_bad_hostname_is_rolled_back_and_the_user_logs_in(keycloak: Keycloak) -> None:
    before = keycloak.planted()
    bad = replaced("compose.yml", "KC_HOSTNAME=${KC_HOSTNAME:-https://${DOMAIN}}", "KC_HOSTNAME=http://not a host/")
    keycloak.site.publish("keycloak", BAD, bad)
    assert keycloak.reconcile() == f"rolled-back:{BAD}->{B}"
    assert keycloak.planted() == before
    assert keycloak.log_in()["iss"] == f"https://{keycloak.domain}/realms/marker"
    assert keycloak.site.last_good(keycloak.name) == B
    [alert] = keycloak.site.alerts()
    assert (alert.attempted, alert.last_good, alert.recovered) == (BAD, B, True)
    assert keycloak.site.alert_files()[0].endswith(f"-{keycloak.name}-rollback.json")
    assert keycloak.reconcile().startswith("held-quarantined:")


def test_notes_that_ask_for_a_human_hold_it_and_nothing_moves(keycloak: Keycloak) -> None:
    ids = keycloak.site.containers(keycloak.stack)

    def notes(folder: Path) -> None:
        (folder / "release" / NOTES).write_text("A manual migration of the user federation is needed first.\n")

    keycloak.site.publish("keycloak", NOTES, notes)
    assert keycloak.reconcile() == f"held-manual-migration:{B}->{NOTES}"
    [held] = [alert for alert in keycloak.site.alerts() if alert.reason == "held-manual-migration"]
    assert "user federation" in held.notes[NOTES]
    assert keycloak.site.containers(keycloak.stack) == ids
    assert keycloak.log_in()["preferred_username"] == "alice"
    keycloak.site.withdraw("keycloak", NOTES)


def test_a_release_that_migrates_the_schema_and_then_fails_brings_the_data_back(keycloak: Keycloak) -> None:
    before, schema = keycloak.planted(), keycloak.schema()
    # It starts, migrates, becomes ready, and only then ends with an error.
    failing = replaced(
        "entrypoint.sh",
        'exec /opt/keycloak/bin/kc.sh "$@"',
        '/opt/keycloak/bin/kc.sh "$@" &\n'
        "until (exec 3<>/dev/tcp/127.0.0.1/9000) 2>/dev/null; do kill -0 $! && sleep 0.2; done\n"
        "exit 3",
    )
    keycloak.site.publish("keycloak", TORN, failing)
    assert keycloak.reconcile() == f"rolled-back:{TORN}->{B}"
    assert (keycloak.planted(), keycloak.schema()) == (before, schema)
    assert keycloak.log_in()["preferred_username"] == "alice"
    assert keycloak.site.last_good(keycloak.name) == B
    aside = [alert for alert in keycloak.site.alerts() if alert.attempted == TORN]
    assert len(aside) == 1 and aside[0].recovered


def test_a_minor_upgrade_migrates_the_schema_and_keeps_the_realm(keycloak: Keycloak) -> None:
    schema = keycloak.schema()
    keycloak.site.publish("keycloak", MINOR)
    assert keycloak.reconcile() == f"upgraded:{B}->{MINOR}"
    assert keycloak.schema() != schema, "this minor was chosen because it migrates"
    assert keycloak.log_in()["preferred_username"] == "alice"
    assert keycloak.site.last_good(keycloak.name) == MINOR


def test_a_major_is_held_and_keycloak_is_not_touched(keycloak: Keycloak) -> None:
    ids = keycloak.site.containers(keycloak.stack)
    keycloak.site.publish("keycloak", MAJOR)
    assert keycloak.reconcile() == f"held-major:{MINOR}->{MAJOR}"
    assert keycloak.site.containers(keycloak.stack) == ids
    keycloak.site.withdraw("keycloak", MAJOR)
    assert keycloak.reconcile() == "noop-healthy"


@pytest.mark.suites
def test_killed_scaled_or_removed_it_comes_back_with_its_data(keycloak: Keycloak) -> None:
    app = f"{keycloak.stack}_app"

    def docker(*args: str) -> None:
        subprocess.run(["docker", *args], check=True, capture_output=True)

    docker("service", "scale", "--detach", f"{app}=0")
    assert keycloak.reconcile() == f"healed:{MINOR}"
    docker("service", "rm", app)
    assert keycloak.reconcile() == f"healed:{MINOR}"
    docker("kill", keycloak.site.containers(keycloak.stack)[0], keycloak.site.containers(keycloak.stack)[1])
    until(lambda: keycloak.reconcile() == "noop-healthy", 180, "Swarm itself brings back what was killed")
    assert keycloak.log_in()["preferred_username"] == "alice"


@pytest.mark.suites
def test_a_database_that_is_down_is_no_reason_to_touch_data(keycloak: Keycloak) -> None:
    before = keycloak.planted()
    history = {line.op_id for line in keycloak.site.build().history.lines()}
    db = f"{keycloak.stack}_db"
    subprocess.run(
        ["docker", "service", "update", "--detach", "--quiet", "--entrypoint", "sleep 100000", db],
        check=True,
        capture_output=True,
    )
    # A spec edited by hand is drift: the release as it was comes back, with the data that is there. Keycloak itself is
    # restarted by its health check meanwhile, so that it may look unhealthy for a pass or two.
    until(lambda: keycloak.reconcile() == "noop-healthy", 400, "it is healed")
    assert keycloak.planted() == before
    assert {line.action for line in keycloak.site.build().history.lines() if line.op_id not in history} == {"heal"}


@pytest.mark.suites
def test_a_corrupt_database_is_an_alert_and_the_way_back_is_a_humans_word(keycloak: Keycloak) -> None:
    service = f"{keycloak.stack}_db"
    keycloak.site.inside(service, "sh", "-c", "echo junk >/var/lib/postgresql/data/pgdata/global/pg_control")
    subprocess.run(["docker", "kill", *keycloak.site.containers(keycloak.stack)], check=True, capture_output=True)
    result = until(lambda: (found := keycloak.reconcile()) and found.startswith("unhealthy") and found, 240)
    assert result.startswith(f"unhealthy:{MINOR}")
    assert any(alert.reason == "unhealthy" for alert in keycloak.site.alerts())
    ran = keycloak.site.run("rollback", keycloak.name, "--reason", "the database is corrupt", "--yes")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert keycloak.log_in()["preferred_username"] == "alice"
    assert keycloak.site.last_good(keycloak.name) == B


@pytest.mark.suites
def test_a_slow_start_is_waited_for_and_a_newer_release_is_taken_after_a_broken_one(keycloak: Keycloak) -> None:
    slow = replaced("entrypoint.sh", "exec /opt/keycloak", "sleep 25\nexec /opt/keycloak")
    keycloak.site.publish("keycloak", SLOW, slow)
    assert keycloak.reconcile() == f"upgraded:{B}->{SLOW}"
    assert keycloak.log_in()["preferred_username"] == "alice"


def test_an_older_major_is_real_and_held(build: Callable[[Callable[[], str]], str], tmp_path: Path) -> None:
    build(lambda: images.postgres(PREFIX))
    build(lambda: images.keycloak(PREFIX, "25.0.6"))
    with site(tmp_path / "site") as host:
        made = Keycloak(host)
        host.publish("keycloak", "9.5.0+25.0.6")
        made.enrol()
        assert made.reconcile() == "deployed:9.5.0+25.0.6"
        ids = host.containers(made.stack)
        host.publish("keycloak", "10.7.0+26.5.5")
        assert made.reconcile() == "held-major:9.5.0+25.0.6->10.7.0+26.5.5"
        assert host.containers(made.stack) == ids
        assert isinstance(host, Site)
        host.check()
