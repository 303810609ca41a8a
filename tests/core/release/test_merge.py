"""Files laid over each other: what an overlay replaces, adds to and leaves alone."""

from typing import Any

import pytest

from reconciler.core.release import compose, forms, merge
from reconciler.state.specs import RecipeYaml


def merged(*bodies: str) -> Any:
    yaml = RecipeYaml()
    texts = [f"services: {{app: {{image: x{', ' if body else ''}{body}}}}}" for body in bodies]
    return merge.merge([yaml.compose(text.encode(), "c") for text in texts])["services"]["app"]


def published(ports: list[Any]) -> list[tuple[object, ...]]:
    keys = ("published", "target", "protocol", "mode")
    return sorted((tuple(port.get(key) for key in keys) for port in ports), key=repr)


EDGE = 'ports: ["18080:8080", "18443:8443", "18443:8443/udp"]'
HOST = "ports: [{target: 8080, published: 18080, mode: host}, {target: 8443, published: 18443, mode: host}]"


def test_a_port_of_the_host_replaces_the_ingress_one_and_no_other_protocol() -> None:
    for over in (HOST, f"{HOST}, deploy: {{endpoint_mode: dnsrr}}"):
        assert published(merged(EDGE, over)["ports"]) == [
            (18080, 8080, None, "host"),
            (18443, 8443, "udp", "ingress"),
            (18443, 8443, None, "host"),
        ]


@pytest.mark.parametrize("over", ["hostname: h", "ports: ['1:1']", "ports: []"])
def test_what_an_overlay_does_not_speak_of_survives_it(over: str) -> None:
    ports = merged("ports: ['53:53', '53:53/udp', {target: 80, published: 80}, 90, '91']", over)["ports"]
    assert {(53, 53, "tcp"), (53, 53, "udp"), (80, 80, None), (None, 90, "tcp"), (None, 91, "tcp")} <= {
        (port.get("published"), port.get("target"), port.get("protocol"))
        for entry in ports
        for port in forms.expand_ports(entry)
        if isinstance(port, dict)
    }


@pytest.mark.parametrize(
    ("base", "over", "found"),
    [
        ("'8000-8002:80-82'", "'8001:90'", [(8000, 80), (8001, 90), (8002, 82)]),
        ("'8000-8001:80'", "'127.0.0.1:8001:81'", [(8000, 80), (8001, 81)]),
        ("'80'", "'80/tcp'", [(None, 80)]),
        ("'80'", "'81'", [(None, 80), (None, 81)]),
        ("'1:80/udp'", "'1:80/UDP'", [(1, 80)]),
        ("{target: 80, published: 1}", "'1:80'", [(1, 80)]),
        ("'[::1]:1:80'", "'1:80'", [(1, 80)]),
    ],
)
def test_a_published_port_is_there_once(base: str, over: str, found: list[tuple[object, object]]) -> None:
    ports = merged(f"ports: [{base}]", f"ports: [{over}]")["ports"]
    assert [(first, second) for first, second, _, _ in published(ports)] == found


@pytest.mark.parametrize("entry", ["x", "8000-8002:80-81", "1-99999:1-99999", "80:x", "", "a:b:c:d"])
def test_a_port_that_is_none_stays_for_the_deploy_tool_to_refuse(entry: str) -> None:
    assert entry in merged(f"ports: ['{entry}']", "ports: ['1:1']")["ports"]


@pytest.mark.parametrize(
    ("base", "over", "key", "found"),
    [
        ("read_only: true", "read_only: false", "read_only", True),
        ("command: [a]", "command: []", "command", ["a"]),
        ("command: a b", "command: [c]", "command", ["c"]),
        ("environment: {A: '1', B: ''}", "environment: {A: '', B: }", "environment", {"A": "1", "B": None}),
        ("environment: {A: '1'}", "environment: [A=2, B]", "environment", {"A": "2", "B": None}),
        ("environment: {A: '1'}", "environment: {A: 0}", "environment", {"A": 0}),
        ("labels: [A=1]", "labels: {A: ''}", "labels", {"A": ""}),
        ("networks: [a]", "networks: {b: {aliases: [x]}}", "networks", {"a": None, "b": {"aliases": ["x"]}}),
        ("networks: {a: {aliases: [x]}}", "networks: [a]", "networks", {"a": {"aliases": ["x"]}}),
        ("networks: {a: {aliases: [x]}}", "networks: {a: {aliases: [y]}}", "networks", {"a": {"aliases": ["y"]}}),
        ("dns: a", "dns: [b, a]", "dns", ["a", "b"]),
        ("extra_hosts: {a: x}", "extra_hosts: ['b=y', 'a:x']", "extra_hosts", ["a:x", "b:y"]),
        (
            "volumes: ['da:/d', '/e']",
            "volumes: [{type: tmpfs, target: /d}]",
            "volumes",
            [{"type": "tmpfs", "target": "/d"}, "/e"],
        ),
        ("configs: [a, b]", "configs: [{source: a, uid: '1'}]", "configs", ["b", {"source": "a", "uid": "1"}]),
        ("ulimits: {a: 1, b: 2}", "ulimits: {a: {soft: 1, hard: 2}}", "ulimits", {"a": {"soft": 1, "hard": 2}, "b": 2}),
        (
            "logging: {driver: a, options: {x: '1'}}",
            "logging: {driver: b, options: {y: '1'}}",
            "logging",
            {"driver": "b", "options": {"y": "1"}},
        ),
        (
            "deploy: {replicas: 2, update_config: {delay: 5s, parallelism: 2}}",
            "deploy: {replicas: 0, update_config: {delay: 0s, parallelism: 0}}",
            "deploy",
            {"replicas": 0, "update_config": {"delay": "5s", "parallelism": 0}},
        ),
    ],
)
def test_an_overlay_changes_what_docker_lets_it_change(base: str, over: str, key: str, found: object) -> None:
    assert merged(base, over)[key] == found


def test_ports_without_end_are_told_in_time() -> None:
    bomb = f"ports: [{', '.join(f'1-1000:1-1000/p{n}' for n in range(2000))}]"
    with pytest.raises(compose.ComposeError, match="are more than"):
        merged(bomb, "ports: ['1:1']")


def test_long_amounts_are_judged_in_time() -> None:
    long = f"stop_grace_period: '{'0' * 200_000}x1'"
    assert merged("stop_grace_period: 5s", long)["stop_grace_period"].endswith("x1")


def test_a_service_may_be_called_like_a_key() -> None:
    document = {"services": {"labels": {"image": "x"}, "ports": {"image": "y"}, "networks": {"image": "z"}}}
    assert merge.merge([document, document])["services"] == document["services"]


def test_a_later_definition_replaces_a_network_as_a_whole_and_an_empty_one_nothing() -> None:
    base = {"services": {"app": {"image": "x"}}, "networks": {"n": {"driver": "overlay", "attachable": True}}}
    assert merge.merge([base, {"networks": {"n": {"internal": True}}}])["networks"] == {"n": {"internal": True}}
    nothing: tuple[object, ...] = (None, {})
    for empty in nothing:
        assert merge.merge([base, {"networks": {"n": empty}}])["networks"] == base["networks"]
