"""How an app proves that it is well: an HTTP answer, and checks of what the answer does not show. Pure.

Part of a spec (`health:`), and kept with each rendered release. Units: durations are seconds.
"""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from reconciler.model.base import Seconds, Strict


class HttpCheck(Strict):
    """Another request to the app's own domain, at `health.address` and its port."""

    path: str = Field(pattern=r"^/[\x21-\x7e]*$")
    status: tuple[int, ...] = Field((200,), min_length=1)
    body: str | None = Field(None, max_length=1000, description="text that the answer must contain")


class TcpCheck(Strict):
    """A port that must take connections."""

    port: int = Field(ge=1, le=65535)
    address: str = "127.0.0.1"


class ExecCheck(Strict):
    """A command in a running container of the app; exit 0 = good."""

    service: str = Field("app", description="a service of the release, by its name in the compose file")
    run: tuple[str, ...] = Field(min_length=1)


class KeycloakLogin(Strict):
    """A login by name and password, at the app's own domain: the app is a Keycloak."""

    realm: str = Field("master", pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    client: str = "admin-cli"
    username: str
    password_file: str = Field(description="file on this host; read at each check, never logged")


class HealthCheck(Strict):
    """One thing that must work beside the health request. Exactly one of `http`, `tcp`, `exec`, `run`, `login`."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    exec: ExecCheck | None = None
    run: tuple[str, ...] = Field((), description="a program on this host by its whole path, with arguments")
    keycloak_login: KeycloakLogin | None = None
    timeout: Seconds = Field(10.0, gt=0, le=300, description="deadline of the check")
    required: bool = Field(True, description="false: its failure is told and fails nothing")

    @field_validator("run")
    @classmethod
    def _run(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and (not value[0].startswith("/") or any("\0" in word for word in value)):
            raise ValueError("the program must be named by its whole path")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> "HealthCheck":
        kinds = (self.http, self.tcp, self.exec, self.run or None, self.keycloak_login)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("needs exactly one of http, tcp, exec, run and keycloak_login")
        return self


class HealthSpec(Strict):
    """How the app proves itself: HTTP to its own domain, resolved to `address`."""

    scheme: Literal["http", "https"] = "https"
    address: str = Field("127.0.0.1", description="where the domain is forced to resolve to")
    port: int | None = Field(None, ge=1, le=65535, description="default: 443 or 80 by scheme")
    path: str = Field("/", pattern=r"^/[\x21-\x7e]*$")
    status: tuple[int, ...] = Field((200,), min_length=1)
    body: str | None = Field(None, max_length=1000, description="text that the answer must contain")
    service: str = Field("app", description="the main service: its tasks must stay the same while probing")
    tls_verify: bool = True
    ca_file: str | None = None
    successes: int = Field(3, ge=1, le=100, description="good answers in a row")
    interval: Seconds = Field(0.5, ge=0, le=60, description="pause between probes")
    timeout: Seconds = Field(5.0, gt=0, le=300, description="deadline of one probe")
    min_healthy: Seconds = Field(10.0, ge=0, le=3600, description="same tasks running at least this long")
    progress: Seconds = Field(300.0, gt=0, description="give up when nothing has moved for this long")
    deadline: Seconds = Field(600.0, gt=0, description="hard cap of settling and of verifying, each")
    max_restarts: int | None = Field(
        None,
        ge=0,
        le=50,
        description="failed tasks tolerated of each replica; default 0 alone, 2 among others, 0 of a job",
    )
    jobs: tuple[str, ...] = Field(
        (), description="services with restart_policy on-failure that must complete, such as migrations"
    )

    checks: tuple[HealthCheck, ...] = Field((), description="what else must work; part of verify and of every look")

    @field_validator("checks")
    @classmethod
    def _checks(cls, value: tuple[HealthCheck, ...]) -> tuple[HealthCheck, ...]:
        names = [check.name for check in value]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"there is more than one check {', '.join(doubled)}")
        return value

    @model_validator(mode="after")
    def _main_is_no_job(self) -> "HealthSpec":
        if self.service in self.jobs:
            raise ValueError(f"jobs: {self.service} is the main service (health.service), which must stay up")
        return self

    @property
    def probe_port(self) -> int:
        """The port that probes go to."""
        return self.port or (443 if self.scheme == "https" else 80)
