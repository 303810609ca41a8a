"""An app with data is kept on the node that has it, and what contradicts that is found before anything is touched."""

import pytest

from reconciler.core.release import placement
from reconciler.model.base import Json
from reconciler.model.disturbance import NodeObs

NODE = NodeObs(
    id="n1",
    name="main",
    attributes={
        "node.id": "n1",
        "node.hostname": "main",
        "node.role": "manager",
        "node.platform.os": "linux",
        "node.labels.disk": "ssd",
        "engine.labels.zone": "a",
    },
)


def document(*constraints: str) -> Json:
    return {
        "services": {
            "db": {"volumes": ["data:/data"], "deploy": {"placement": {"constraints": list(constraints)}}},
            "web": {"volumes": ["/etc/x:/etc/x", "/cache"], "deploy": {"labels": {"a": "b"}}},
        },
        "volumes": {"data": {}},
    }


def test_only_what_has_a_named_volume_is_kept_and_the_document_stays_as_it_was() -> None:
    before = document("node.role==manager")
    pinned = placement.pin(before, "n1")
    assert before == document("node.role==manager")
    assert pinned["services"]["db"]["deploy"] == {
        "placement": {"constraints": ["node.role==manager", "node.id==n1"]},
        "labels": {placement.LABEL_NODE: "n1"},
    }
    assert pinned["services"]["web"] == before["services"]["web"]


@pytest.mark.parametrize(
    "text",
    [
        "node.role==manager",
        "node.role == MANAGER",
        "node.role!=worker",
        "node.id==n1",
        "node.labels.disk==ssd",
        "node.labels.none!=x",
        "engine.labels.zone==a",
        "node.platform.arch==arm64",  # the engine does not tell
        "node.ip==10.0.0.0/8",
        "not a constraint",
    ],
)
def test_what_the_node_meets_or_does_not_tell_is_no_contradiction(text: str) -> None:
    assert list(placement.find_contradictions(document(text), NODE)) == []


@pytest.mark.parametrize(
    "text",
    [
        "node.role==worker",
        "node.role!=manager",
        "node.id != n1",
        "node.hostname==other",
        "node.labels.disk!=ssd",
        "node.labels.none==x",
        "engine.labels.zone==b",
    ],
)
def test_what_the_node_does_not_meet_is_named_with_both(text: str) -> None:
    [found] = placement.find_contradictions(document("node.platform.os==linux", text), NODE)
    assert found == f"service db may not run on node main, where its data is kept: {text}"


def test_where_a_service_without_volumes_runs_is_its_own_matter() -> None:
    doc = document()
    doc["services"]["web"]["deploy"]["placement"] = {"constraints": ["node.role==worker"]}
    assert list(placement.find_contradictions(doc, NODE)) == []
