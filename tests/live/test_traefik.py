"""The example recipe on a real Traefik: in place, without data, with its certificate. One story, in this order."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from reconciler.model.ids import StackName
from tests.live import images
from tests.live.ingress import Ingress
from tests.live.site import PREFIX, site
from tests.waiting import until

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.live,
    pytest.mark.timeout(600),
    pytest.mark.together("traefik"),
]

A, B, BROKEN, C = "3.0.0+3.6.15", "3.0.1+3.7.13", "3.0.2+3.7.15", "3.0.3+3.7.15"


@pytest.fixture(scope="module")
def ingress(build: Callable[[Callable[[], str]], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    """Traefik 3.6, enrolled, with a wildcard certificate of a private authority."""
    for tag in (A, B, C):
        build(partial(images.traefik, PREFIX, tag.partition("+")[2]))
    with site(tmp_path_factory.mktemp("traefik") / "site") as host:
        made = Ingress(host)
        made.publish(A)
        made.enrol()
        assert made.reconcile() == f"deployed:{A}"
        yield made
        host.check()


@contextmanager
def watched(ingress: Ingress) -> Iterator[list[float]]:
    """Asks all the while; afterwards the gaps in which it was refused, in seconds from answer to answer."""
    gaps: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        last, refused = time.monotonic(), False
        while not stop.is_set():
            try:
                ingress.ask(timeout=5)
            except OSError:
                refused = True
                stop.wait(0.01)
                continue
            now = time.monotonic()
            if refused:  # an answer that is slow on a busy machine is no gap
                gaps.append(round(now - last, 2))
            last, refused = now, False

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield gaps
    finally:
        stop.set()
        thread.join(10)


def test_it_answers_with_the_wildcard_certificate(ingress: Ingress) -> None:
    code, body, certificate = ingress.ask()
    assert code == 200 and json.loads(body)["Version"] == "3.6.15"
    assert ("DNS", f"*.{ingress.wildcard}") in certificate["subjectAltName"]
    assert ingress.reconcile() == "noop-healthy"


def test_an_update_is_in_place_and_keeps_certificate_and_settings(
    ingress: Ingress, record_property: Callable[[str, object], None]
) -> None:
    secrets = ingress.secret_ids()
    engine = ingress.site.build().ports.engine
    before = {service.name: service.id for service in engine.look().stack(StackName(ingress.stack)).services}
    ingress.publish(B)
    with watched(ingress) as gaps:
        assert ingress.reconcile() == f"upgraded:{A}->{B}"
    assert ingress.version() == "3.7.13"
    after = {service.name: service.id for service in engine.look().stack(StackName(ingress.stack)).services}
    assert before == after, "the service itself was not removed"
    assert ingress.secret_ids() == secrets
    assert not (ingress.site.state / ingress.name / "snapshot").exists()
    assert len(gaps) <= 1, "one gap: the old one goes before the new one comes, since they share the ports"
    record_property("outage_s", gaps)
    print(f"outage of a healthy update: {gaps}")  # noqa: T201 - shown with -s and in reports


def test_a_broken_configuration_is_rolled_back_by_version_alone(ingress: Ingress) -> None:
    def broken(folder: Path) -> None:
        (folder / "traefik.yml").write_text("entryPoints: [this, is, no, mapping]\n")

    ingress.publish(BROKEN, broken)
    assert ingress.reconcile() == f"rolled-back:{BROKEN}->{B}"
    assert ingress.version() == "3.7.13"
    assert ("DNS", f"*.{ingress.wildcard}") in ingress.ask()[2]["subjectAltName"]
    [alert] = ingress.site.alerts()
    assert (alert.attempted, alert.last_good, alert.recovered) == (BROKEN, B, True)
    assert ingress.site.last_good(ingress.name) == B
    assert ingress.reconcile().startswith("held-quarantined:")


def test_an_expired_certificate_is_refused_and_the_old_one_comes_back(ingress: Ingress) -> None:
    good = ingress.pair
    ingress.pair = ingress.authority.issue("expired", ingress.wildcard, expired=True)
    ingress.site.withdraw("traefik", BROKEN)
    ingress.enrol(version="v2")
    result = ingress.reconcile()
    assert result == f"rolled-back:{B}->{B}", result
    evidence = " ".join(text for alert in ingress.site.alerts() for text in alert.evidence)
    assert "certificate has expired" in evidence
    assert ingress.ask()[0] == 200
    ingress.pair = good
    ingress.enrol()
    assert ingress.reconcile() == "noop-healthy"


def test_a_removed_proxy_comes_back(ingress: Ingress) -> None:
    subprocess.run(["docker", "service", "rm", f"{ingress.stack}_app"], check=True, capture_output=True)
    assert ingress.reconcile() == f"deployed:{B}"
    assert ingress.version() == "3.7.13"


def test_a_newer_patch_is_taken_after_a_broken_one(ingress: Ingress) -> None:
    ingress.publish(C)
    assert ingress.reconcile() == f"upgraded:{B}->{C}"
    assert ingress.version() == "3.7.15"


def test_a_host_port_that_is_taken_is_named(build: Callable[[Callable[[], str]], str], tmp_path: Path) -> None:
    build(lambda: images.traefik(PREFIX, "3.6.15"))
    with site(tmp_path / "site") as host, socket.socket() as taken:
        made = Ingress(host)
        taken.bind(("0.0.0.0", made.https))
        taken.listen()
        made.publish(A)
        made.enrol()
        result = made.reconcile()
        assert result.partition(":")[0] in ("deploy-failed", "aborted", "held-host"), result
        evidence = " ".join(text for alert in host.alerts() for text in alert.evidence)
        assert "address already in use" in evidence or "already in use" in evidence, evidence
        until(lambda: not host.containers(made.stack), 30)
