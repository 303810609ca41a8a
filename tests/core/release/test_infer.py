"""Variables read off what runs: what explains a difference is told, what has its default or is unclear is not."""

from typing import Any

import pytest

from reconciler.core.release import infer
from reconciler.model.ids import StackName
from reconciler.model.observed import ServiceMode, ServiceObs, StackObs

ENV = {"STACK_NAME": "notes_example_org", "DOMAIN": "notes.example.org", "GREETING": "hello", "LEVEL": "info"}


def stack(**told: Any) -> StackObs:
    service = ServiceObs(
        id="1",
        name="app",
        stack=StackName("notes_example_org"),
        version_index=1,
        labels={},
        image="notes:1",
        mode=ServiceMode.REPLICATED,
        replicas=1,
        running=1,
        desired=1,
        spec_fingerprint="",
        template_fingerprint="",
        told=told,
    )
    return StackObs(services=(service,))


@pytest.mark.parametrize(
    ("body", "told", "expected"),
    [
        pytest.param({"environment": ["G=${GREETING}"]}, {"environment": {"G": "hi"}}, {"GREETING": "hi"}, id="list"),
        pytest.param({"environment": {"G": "$GREETING!"}}, {"environment": {"G": "hi!"}}, {"GREETING": "hi"}, id="map"),
        pytest.param({"environment": ["G=${GREETING}"]}, {"environment": {"G": "hello"}}, {}, id="as-it-is-anyway"),
        pytest.param({"environment": ["T=${TIMEOUT:-120}"]}, {"environment": {"T": "120"}}, {}, id="its-default"),
        pytest.param({"environment": ["T=${TIMEOUT:-120}"]}, {"environment": {"T": "9"}}, {"TIMEOUT": "9"}, id="other"),
        pytest.param({"environment": ["GREETING"]}, {"environment": {"GREETING": "hi"}}, {"GREETING": "hi"}, id="bare"),
        pytest.param(
            {"environment": ["U=https://${DOMAIN}/${PATH_:-x}"]},
            {"environment": {"U": "https://notes.example.org/y"}},
            {"PATH_": "y"},
            id="beside-one-that-is-known",
        ),
        pytest.param({"environment": ["U=${A}-${B}"]}, {"environment": {"U": "1-2"}}, {}, id="two-unknowns"),
        pytest.param(
            {"environment": ["U=${A}-${B}", "A=${A}"]},
            {"environment": {"U": "1-2", "A": "1"}},
            {"A": "1", "B": "2"},
            id="one-tells-the-other",
        ),
        pytest.param(
            {"environment": ["U=${GREETING}${LEVEL}"]}, {"environment": {"U": "helloinfoinfo"}}, {}, id="not-either"
        ),
        pytest.param(
            {"environment": ["A=${A}", "B=x${A}"]}, {"environment": {"A": "1", "B": "x2"}}, {"A": "1"}, id="1st"
        ),
        pytest.param({"environment": ["P=$$${A}"]}, {"environment": {"P": "$5"}}, {"A": "5"}, id="dollar"),
        pytest.param({"environment": ["U=${A}-${A}"]}, {"environment": {"U": "1-2"}}, {}, id="twice-unlike"),
        pytest.param(
            {"deploy": {"labels": ["x.${STACK_NAME}.rule=Host(`${OTHER}`)"]}},
            {"labels": {"x.notes_example_org.rule": "Host(`b`)"}},
            {"OTHER": "b"},
            id="label",
        ),
        pytest.param(
            {"ports": [{"target": 80, "published": "${PORT}"}]},
            {"ports": ["81:80/tcp host"]},
            {"PORT": "81"},
            id="port",
        ),
        pytest.param({"ports": ["${PORT:-80}:80"]}, {"ports": ["81:80/tcp ingress"]}, {"PORT": "81"}, id="short-port"),
        pytest.param({"ports": ["${P}:80", "${Q}:80"]}, {"ports": ["1:80/tcp x", "2:80/tcp x"]}, {}, id="two-ports"),
        pytest.param({"deploy": {"replicas": "${N:-1}"}}, {"replicas": 3}, {"N": "3"}, id="replicas"),
        pytest.param({"environment": ["G=${A:-${B}}"]}, {"environment": {"G": "x"}}, {}, id="nested"),
        pytest.param({"environment": ["G=${A"]}, {"environment": {"G": "x"}}, {}, id="malformed"),
        pytest.param({"environment": ["G=${A}"]}, {}, {}, id="not-told"),
    ],
)
def test_tells_the_one_variable_that_explains_what_runs(
    body: dict[str, Any], told: dict[str, Any], expected: dict[str, str]
) -> None:
    assert infer.infer([{"services": {"app": body}}], stack(**told), ENV) == expected
