"""What the engine says of a stack: its recipe, domain, port, secrets, data."""

from typing import Any

import pytest

from reconciler.core.host import draft_of_stack
from reconciler.model.ids import StackName
from reconciler.model.observed import ServiceMode, ServiceObs, StackObs

NAME = "blog_example_org"


def service(name: str, labels: dict[str, str] | None = None, **told: Any) -> ServiceObs:
    return ServiceObs(
        id=name,
        name=name,
        stack=StackName(NAME),
        version_index=1,
        labels=labels or {},
        image="x:1",
        mode=ServiceMode.REPLICATED,
        replicas=1,
        running=1,
        desired=1,
        spec_fingerprint="",
        template_fingerprint="",
        told=told,
    )


def rule(router: str, *hosts: str) -> dict[str, str]:
    return {f"traefik.http.routers.{router}.rule": " || ".join(f"Host(`{host}`)" for host in hosts)}


def test_its_own_domain_comes_first_and_then_that_of_the_main_service() -> None:
    stack = StackObs(
        services=(service("admin", rule("a", "admin.org")), service("app", rule("b", "www.org", "blog.example.org")))
    )
    assert draft_of_stack.find_domains(stack, NAME) == ("blog.example.org", "www.org", "admin.org")
    assert draft_of_stack.find_domains(StackObs(services=(service("app"),)), NAME) == ()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([{f"coop-cloud.{NAME}.recipe": "blog"}], "blog"),
        ([{f"coop-cloud.{NAME}.recipe": "blog"}, {}], "blog"),
        ([{f"coop-cloud.{NAME}.recipe": "blog"}, {f"coop-cloud.{NAME}.recipe": "wiki"}], ""),
        ([{}], ""),
    ],
)
def test_the_recipe_is_what_all_labels_agree_on(labels: list[dict[str, str]], expected: str) -> None:
    services = tuple(service(f"s{number}", one) for number, one in enumerate(labels))
    assert draft_of_stack.find_recipe(StackObs(services=services)) == expected


def test_secrets_are_told_by_name_and_version_and_foreign_ones_as_such() -> None:
    names = [f"{NAME}_db_password_v2", f"{NAME}_key_v1", "shared_ca", f"{NAME}_Odd_v1"]
    stack = StackObs(services=(service("app", secrets=names[:3]), service("db", secrets=names[3:])))
    versions, others = draft_of_stack.find_secrets(stack, NAME)
    assert versions == {"db_password": "v2", "key": "v1"}
    assert others == (f"{NAME}_Odd_v1", "shared_ca")


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (["8080:80/tcp host"], 8080),
        (["8080:80/tcp host", "53:53/udp host"], 8080),
        (["8080:80/tcp host", "8443:443/tcp host"], None),
        (["0:80/tcp ingress"], None),
        ([], None),
    ],
)
def test_the_port_is_the_only_one_that_is_published(ports: list[str], expected: int | None) -> None:
    assert draft_of_stack.find_port(StackObs(services=(service("app", ports=ports), service("db")))) == expected


@pytest.mark.parametrize(
    ("mount", "keeps"),
    [
        ("volume blog_data /data", True),
        ("bind /srv/blog /data", True),
        ("bind /etc/x /x ro", False),
        ("bind /var/run/docker.sock /var/run/docker.sock", False),
        ("tmpfs  /run", False),
    ],
)
def test_volumes_and_places_of_the_host_that_are_written_to_are_data(mount: str, keeps: bool) -> None:
    assert draft_of_stack.keeps_data(StackObs(services=(service("app", mounts=[mount]),))) is keeps
