"""What a release changes, by name: every kind, both ways, and no value of a variable."""

from typing import Any

import pytest

from reconciler.core.live import difference
from reconciler.core.live.difference import Side

APP: dict[str, Any] = {"image": "a:1", "environment": {"LEVEL": "info"}, "ports": [{"target": 80, "published": 8080}]}


def side(image: str = "a:1", more: dict[str, Any] | None = None, **app: Any) -> Side:
    return Side(doc={"services": {"app": APP | app}, **(more or {})}, images={"app": image})


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(side(), [], id="nothing"),
        pytest.param(side("a:2"), ["~ image app a:1 -> a:2"], id="image"),
        pytest.param(side(environment={"LEVEL": "debug"}), ["~ env app.LEVEL"], id="value-of-a-variable"),
        pytest.param(side(environment={"X": "1"}), ["- env app.LEVEL", "+ env app.X"], id="variables"),
        pytest.param(side(environment={"LEVEL": "info", "X": None}), ["+ env app.X"], id="variable-without-value"),
        pytest.param(
            side(ports=[{"target": 80, "published": 81, "mode": "host"}]),
            ["- port app 8080:80/tcp ingress", "+ port app 81:80/tcp host"],
            id="port",
        ),
        pytest.param(side(ports=[]), ["- port app 8080:80/tcp ingress"], id="no-port"),
        pytest.param(side(more={"volumes": {"data": None}}), ["+ volume data"], id="volume"),
        pytest.param(
            side(more={"networks": {"n": {}}, "secrets": {"s": {}}}), ["+ network n", "+ secret s"], id="more"
        ),
        pytest.param(
            Side(doc={}, images={}),
            ["- service app", "- image app a:1", "- env app.LEVEL", "- port app 8080:80/tcp ingress"],
            id="all-gone",
        ),
    ],
)
def test_every_change_is_told_by_its_name(after: Side, expected: list[str]) -> None:
    found = difference.compare(side(), after)
    assert [str(one) for one in found] == expected
    assert "debug" not in repr(found) and "info" not in repr(found)
    back = [
        str(one)[0].translate(str.maketrans("+-", "-+")) + str(one)[1:] for one in difference.compare(after, side())
    ]
    assert sorted(line[:8] for line in back) == sorted(line[:8] for line in expected)
