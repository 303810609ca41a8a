"""Recipes become one document: variables, merging, names, pins, and what the policy refuses."""

from typing import Any

import pytest

from reconciler.core.redact import Redactor
from reconciler.core.release import compose, interpolate, render
from reconciler.state.specs import RecipeYaml
from tests.builders import spec

RECIPE = b"""
version: "3.8"
x-common: &common {image: "registry.test/app:1.0"}
services:
  app:
    <<: *common
    environment: [GREETING, "URL=https://${DOMAIN}"]
    volumes: ["data:/data"]
    configs: [{source: conf, target: /etc/app.conf}]
    secrets: [db_password]
    networks: [proxy, internal]
    deploy:
      labels: ["coop-cloud.${STACK_NAME}.version=1.0.0+5.0.0"]
      update_config: {failure_action: rollback, order: start-first}
  db:
    image: "registry.test/db:2"
    volumes: [{type: volume, source: db, target: /var/lib}]
volumes: {data: {}, db: }
networks: {proxy: {external: true}, internal: }
configs: {conf: {name: "${STACK_NAME}_conf_${CONF_VERSION}", file: app.conf, template_driver: golang}}
secrets: {db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}}
"""
FILES = {
    "compose.yml": RECIPE,
    "app.conf": b"one",
    ".env.sample": b"GREETING=hello\n",
    "abra.sh": b"export CONF_VERSION=v1\n",
}
PINS = {"registry.test/app:1.0": "registry.test/app:1.0@sha256:" + "1" * 64, "registry.test/db:2": "sha256:" + "2" * 64}


def rendered(files: dict[str, bytes] = FILES, overlays: dict[str, bytes] | None = None, **changes: Any) -> Any:
    one = spec(**{"secrets": {"db_password": {"version": "v2"}}, **changes})
    yaml = RecipeYaml()
    env = render.environment(one, yaml.env(files[".env.sample"], ".env.sample"), yaml.env(files["abra.sh"], "abra.sh"))
    content = render.RecipeContent(version="1.0.0+5.0.0", commit="c" * 40, files=files, overlays=overlays or {})
    return one, render.render(one, content, env, yaml.compose)


def test_everything_a_deploy_needs_is_in_the_bundle() -> None:
    one, found = rendered()
    made = render.bundle(one, found, PINS)
    app = made.doc["services"]["app"]
    assert app["environment"] == {"GREETING": "hello", "URL": "https://notes.example.test"}
    assert app["image"] == PINS["registry.test/app:1.0"]
    assert app["deploy"]["update_config"] == {"failure_action": "pause", "order": "stop-first"}, "no two writers"
    assert app["deploy"]["labels"]["ci-warm.version"] == "1.0.0+5.0.0"
    assert app["deploy"]["labels"]["coop-cloud.notes_example_test.version"] == "1.0.0+5.0.0"
    assert made.volumes == {"data": "notes_example_test_data", "db": "notes_example_test_db"}
    assert made.secrets == {"db_password": "notes_example_test_db_password_v2"}
    assert (found.networks, found.policy) == (("proxy",), ())
    assert render.is_intact(made)
    assert not render.is_intact(made.model_copy(update={"version": "2.0.0+1"}))


@pytest.mark.parametrize(("mode", "order"), [("host", "stop-first"), ("ingress", "start-first")])
def test_a_port_of_the_node_is_given_up_before_the_new_task_wants_it(mode: str, order: str) -> None:
    text = (
        f"services: {{app: {{image: x, ports: [{{target: 80, published: 8080, mode: {mode}}}],"
        " deploy: {update_config: {order: start-first}}}}"
    )
    one, found = rendered({**FILES, "compose.yml": text.encode()})
    made = render.bundle(one, found, {"x": "x@sha256:" + "1" * 64})
    assert made.doc["services"]["app"]["deploy"]["update_config"]["order"] == order


@pytest.mark.parametrize(("stateful", "order"), [(True, "stop-first"), (False, "start-first")])
def test_what_writes_to_a_volume_ends_before_the_next_one_begins(stateful: bool, order: str) -> None:
    """Also where a deploy updates it in place, as a heal does (I5)."""
    text = "services: {app: {image: x, volumes: ['data:/d'], deploy: {update_config: {order: start-first}}}}"
    one, found = rendered({**FILES, "compose.yml": f"{text}\nvolumes: {{data: {{}}}}\n".encode()})
    one = one.model_copy(update={"stateful": stateful})
    made = render.bundle(one, found, {"x": "x@sha256:" + "1" * 64})
    assert made.doc["services"]["app"]["deploy"]["update_config"]["order"] == order


def name_of(body: str, content: bytes = b"one", section: str = "configs") -> str:
    text = f"services: {{app: {{image: x}}}}\n{section}: {{conf: {body}}}\n"
    _, found = rendered({**FILES, "compose.yml": text.encode(), "app.conf": content})
    return str(found.doc[section]["conf"]["name"])


def test_a_config_is_named_after_its_content() -> None:
    names = [name_of("{name: '${STACK_NAME}_conf_v1', file: app.conf}", content) for content in (b"one", b"two")]
    assert names[0] != names[1]
    assert all(name.startswith("notes_example_test_conf_v1_") and len(name) <= 64 for name in names)


@pytest.mark.parametrize("section", ["configs", "secrets"])
def test_everything_that_makes_a_config_another_one_is_in_its_name(section: str) -> None:
    bodies = [
        "{file: app.conf}",
        "{file: app.conf, template_driver: golang}",
        "{file: app.conf, template_driver: other}",
        "{file: app.conf, labels: {a: b}}",
        "{file: app.conf, labels: {a: c}}",
        "{driver: vault}",
        "{driver: vault, driver_opts: {path: a}}",
        "{driver: vault, driver_opts: {path: b}}",
        "{driver: vault, template_driver: golang}",
        "{driver: other}",
    ]
    names = [name_of(body, section=section) for body in bodies]
    assert len(set(names)) == len(bodies), names
    assert name_of("{file: ./app.conf, labels: [a=b]}", section=section) == names[3]
    assert name_of("{external: true, name: given, file: app.conf}", section=section) == "given"


def test_a_plain_config_keeps_the_name_that_earlier_versions_gave_it() -> None:
    assert name_of("{file: app.conf}") == "notes_example_test_conf_3d49aec8"


@pytest.mark.parametrize(
    ("version", "sent"),
    [("'3.1'", "3.8"), ("'3.4'", "3.8"), ("'3.5'", "3.5"), ("'3.12'", "3.12"), ("'2.4'", "2.4"), ("3.1", 3.1)],
)
def test_only_versions_without_names_of_configs_are_raised(version: str, sent: object) -> None:
    _, found = rendered({**FILES, "compose.yml": f"version: {version}\nservices: {{app: {{image: x}}}}".encode()})
    assert found.doc["version"] == sent


def test_overlays_may_change_the_surroundings_and_nothing_else() -> None:
    overlay = b"services: {app: {deploy: {update_config: {order: stop-first}}, environment: {EXTRA: '1'}}}"
    _, found = rendered(overlays={"compose.ci.yml": overlay})
    app = found.doc["services"]["app"]
    assert app["environment"]["EXTRA"] == "1"
    assert app["deploy"]["update_config"]["order"] == "stop-first"
    assert set(app["networks"]) == {"proxy", "internal"}
    for bad in (b"services: {app: {image: other}}", b"services: {new: {image: x}}"):
        with pytest.raises(compose.ComposeError, match="may not change images"):
            rendered(overlays={"bad.yml": bad})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"services: {}", "there are none"),
        (b"services: {app: {}}", "image: is missing"),
        (b"services: [app]", "must be a mapping"),
        (b"services: {app: x}", "must be a mapping"),
        (b"services: {app: {image: x, environment: text}}", "environment: must be a mapping"),
        (b"services: {app: {image: x, deploy: text}}", "deploy: must be a mapping"),
        (b"services: {app: {image: x, volumes: ['d:/data']}}", "read as a Windows path"),
        (b"services: {app: {image: x, volumes: ['data:/data']}}", "is not declared"),
        (b"services: {app: {image: x, extends: y}}", "extends: is not supported"),
        (b"services: {app: {image: x}}\nconfigs: {c: {file: ../../etc/shadow}}", "is not in the recipe"),
        (b"services: {app: {image: '${NEEDED:?tell me}'}}", "NEEDED is required"),
    ],
)
def test_unusable_compose_files_say_why(text: bytes, says: str) -> None:
    with pytest.raises((compose.ComposeError, interpolate.InterpolationError), match=says):
        rendered({**FILES, "compose.yml": text})


@pytest.mark.parametrize(
    ("migrate", "says"),
    [
        ("deploy: {restart_policy: {condition: on-failure}}", ""),
        ("deploy: {restart_policy: {condition: none}}", ""),
        ("deploy: {mode: replicated-job}", ""),
        ("restart: on-failure:3", ""),
        ("deploy: {restart_policy: {condition: any}}", "is started again whatever it ends with"),
        ("deploy: {restart_policy: {delay: 1s}}", "is started again whatever it ends with"),
        ("restart: always", "is started again whatever it ends with"),
        ("command: x", "is started again whatever it ends with"),
        (None, "there is no service migrate"),
    ],
)
def test_a_listed_job_must_be_able_to_end(migrate: str | None, says: str) -> None:
    service = f", migrate: {{image: x, {migrate}}}" if migrate else ""
    files = {**FILES, "compose.yml": f"services: {{app: {{image: x}}{service}}}".encode()}
    if not says:
        rendered(files, health={"jobs": ["migrate"]})
        return
    with pytest.raises(compose.ComposeError, match=says):
        rendered(files, health={"jobs": ["migrate"]})


@pytest.mark.parametrize(
    ("service", "allowance"),
    [
        ("privileged: true", "privileged"),
        ("cap_add: [X]", "capabilities"),
        ("devices: [/dev/kvm]", "devices"),
        ("network_mode: host", "host-network"),
        ("pid: host", "host-network"),
        ("networks: [host]", "host-network"),
        ("volumes: ['/var/run/docker.sock:/s']", "docker-socket"),
        ("volumes: ['/etc:/e']", "host-mounts"),
        ("volumes: [{type: bind, source: /, target: /h}]", "host-mounts"),
        ("volumes: ['disk:/d']", "host-mounts"),
        ("volumes: ['theirs:/d']", "foreign-objects"),
        ("secrets: [theirs]", "foreign-objects"),
    ],
)
def test_the_policy_refuses_what_the_spec_does_not_allow(service: str, allowance: str) -> None:
    text = (
        f"services: {{app: {{image: x, {service}}}}}\n"
        "volumes: {disk: {driver_opts: {type: ext4, device: /dev/sda1}}, theirs: {external: true, name: keycloak_db}}\n"
        "secrets: {theirs: {external: true, name: keycloak_db_password_v1}}\n"
    )
    _, found = rendered({**FILES, "compose.yml": text.encode()})
    assert allowance in {name for name, _ in found.policy}


@pytest.mark.parametrize("body", ["{external: true, name: host}", "{external: {name: host}}"])
def test_the_hosts_own_network_is_refused_under_any_key(body: str) -> None:
    text = f"services: {{app: {{image: x, networks: [lan]}}}}\nnetworks: {{lan: {body}}}\n"
    _, found = rendered({**FILES, "compose.yml": text.encode()})
    assert ("host-network", "networks.lan") in found.policy


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f'DB_PASSWORD: "{SECRET}"',
        f"https://user:{SECRET}@git.test/x",
        f"token: {SECRET}",
        f"https://{SECRET}@git.test/x",
        f'{{"api_key": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"x {SECRET} y",
    ],
)
def test_secrets_are_masked_by_value_and_by_key(text: str) -> None:
    assert SECRET not in Redactor([SECRET] if text.startswith("x ") else []).mask(text)


def test_masking_hostile_text_is_quick() -> None:
    import time

    began = time.monotonic()
    Redactor().mask("token-" * 200_000)
    Redactor().mask("://" * 200_000)
    assert time.monotonic() - began < 60  # it once took hours


def test_only_an_app_that_ignores_its_scale_says_so_and_has_another_digest() -> None:
    plain, scaled = spec(), spec(drift={"ignore": ["replicas"]})
    assert render.desired_digest(plain, {}) != render.desired_digest(scaled, {})
