"""Whose silence it is when nothing takes a connection."""

from typing import Any

import pytest

from reconciler.core.change import silence
from reconciler.model.observed import ContainerObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.settling import Fault
from tests.builders import stack


def doc(*ports: object, **more: Any) -> dict[str, Any]:
    return {"services": {"app": {"image": "x", "ports": list(ports), **more}}}


AT_443 = ("127.0.0.1", 443)
A, U = Fault.APP, Fault.UNKNOWN
HOST = {"networks": {"outside": {"external": True, "name": "host"}}}
ROWS = [
    pytest.param(doc(), AT_443, U, id="it publishes nothing"),
    pytest.param(doc("8443:443"), AT_443, U, id="it publishes another port"),
    pytest.param(doc("443:8443"), AT_443, A, id="it publishes the port"),
    pytest.param(doc("127.0.0.1:440-450:440-450"), AT_443, A, id="it publishes a range with the port"),
    pytest.param(doc("443:443/udp"), AT_443, A, id="by any protocol"),
    pytest.param(doc({"target": 80, "published": 443, "mode": "host"}), AT_443, A, id="in the long form"),
    pytest.param(doc({"target": 443}), AT_443, U, id="a port of the container only"),
    pytest.param(doc(networks=["outside"]) | HOST, AT_443, A, id="it is on the host's own network"),
    pytest.param(doc(networks={"proxy": None}), AT_443, U, id="on a network with others"),
    pytest.param(doc(), ("192.0.2.7", 443), A, id="an address of which nobody knows whose it is"),
    pytest.param(doc(), ("::1", 443), U, id="this host, by its other name"),
    pytest.param(doc(), ("localhost", 443), U, id="this host, by name"),
    pytest.param({}, AT_443, A, id="no release on record"),
    pytest.param(doc(), None, A, id="it was reached and said nothing good"),
]


@pytest.mark.parametrize(("release", "unreached", "fault"), ROWS)
def test_whose_silence_it_is(release: dict[str, Any], unreached: tuple[str, int] | None, fault: Fault) -> None:
    found = silence.weigh(ProbeAnswer(ok=False, code=0, detail="refused", unreached=unreached), release)
    assert found.fault is fault
    assert ("nothing of this app listens" in found.detail) == (fault is U) == silence.is_before_the_app(found)


def test_what_somebody_paused_is_laid_on_nobody() -> None:
    bad = ProbeAnswer(ok=False, code=0, detail="no complete answer within 2 s")
    paused = stack(
        ContainerObs(id="1", task_id="t", state="paused"), ContainerObs(id="2", task_id="u", state="running")
    )
    found = silence.weigh_paused(bad, paused)
    assert found.fault is U and found.detail.endswith("; 1 of its containers are paused")
    assert silence.weigh_paused(bad, stack()) == bad
    good = ProbeAnswer(ok=True, code=200, detail="HTTP 200")
    assert silence.weigh_paused(good, paused) == good
