"""The daemon's own settings: `/etc/ci-warm/config.yaml`. Pure. Each default has its unit and reason here."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from reconciler.model.base import Seconds, Strict
from reconciler.model.request import TEAM

_SUFFIX = r"^([a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?)?$"
NOTE_PATTERNS = (
    r"manual(ly)?\s+(migrat|step|interven)\w*",
    r"breaking\s+changes?",
    r"action\s+required",
    r"before\s+(you\s+)?upgrad(e|ing)",
)
"""What release notes say when a human must act (design: the gate)."""


class RegistrySettings(Strict):
    """How to talk to one registry."""

    insecure: bool = Field(False, description="plain HTTP; loopback registries are always plain unless https answers")


class GitSettings(Strict):
    """How recipes are fetched."""

    timeout: Seconds = Field(60.0, gt=0, description="deadline of one fetch; a hung forge must not hang a pass")
    allow_file: bool = Field(False, description="allow file:// recipes; off, because a recipe must not read the host")


class Limits(Strict):
    """How long the engine may take; see docs/operate.md."""

    call: Seconds = Field(15.0, gt=0, description="one ordinary engine call; a frozen engine is UNKNOWN after this")
    pull: Seconds = Field(1800.0, gt=0, description="one image pull")
    quiesce: Seconds = Field(60.0, gt=0, description="beyond an app's own stop grace, until nothing can write")
    pending: Seconds = Field(60.0, gt=0, description="a task Pending this long: no node can take it")
    new: Seconds = Field(30.0, gt=0, description="a task New this long: the host is out of addresses")
    resumes: int = Field(5, ge=1, le=50, description="restarts of one operation before a human is asked")
    steady_probe: Seconds = Field(10.0, gt=0, description="how long a running app may fail probes in a quiet pass")
    reserve: float = Field(2.1, ge=1, description="free room needed, times the data: copy, restore beside, 10 %")
    copy_ahead: Seconds = Field(1800.0, gt=0, description="copying an app's volumes while it runs; then it is given up")
    copy_ahead_from: int = Field(64 << 20, ge=0, description="bytes of data from which on it is copied ahead")
    copy_ahead_rate: int = Field(0, ge=0, description="bytes a second that are copied ahead at most; 0: any")


class DaemonSettings(Strict):
    """When `ci-warm run` looks."""

    interval: Seconds = Field(60.0, ge=1, description="a pass at least this often, whatever events say")
    jitter: Seconds = Field(6.0, ge=0, description="spread of the interval, so that hosts do not fetch in step")
    event_gap: Seconds = Field(2.0, gt=0, description="between two passes that events ask for")
    watch: Seconds = Field(2.0, gt=0, description="how often spec files and requests/ are looked at")
    checks: int = Field(8, ge=1, le=64, description="apps whose health is asked at the same time")
    step: Seconds = Field(7200.0, gt=0, description="one step (a snapshot, a pull) may take this long in silence")


class DiskSettings(Strict):
    """When images are removed."""

    high: int = Field(80, ge=1, le=100, description="percent in use: alert, and remove images that nothing needs")
    paths: tuple[str, ...] = Field(("/var/lib/docker",), description="file systems to watch, beside the state root's")
    every: Seconds = Field(300.0, gt=0, description="how often the daemon looks at it")
    image_age: Seconds = Field(7 * 86400.0, ge=0, description="younger images stay, needed or not")


class MonitorSettings(Strict):
    """Where metrics and health are served."""

    listen: str = Field(
        "",
        pattern=r"^(|off|unix:/.+|(127\.0\.0\.1|\[::1\]|localhost):[0-9]{1,5})$",
        description="unix:PATH or loopback:PORT; '' = http.sock in the unit's runtime directory; off",
    )
    textfile: str = Field("", pattern=r"^(|/.+\.prom)$", description="a file for node_exporter's textfile collector")


class HookSettings(Strict):
    """What a forge's webhook may ask for (`POST /hooks/forge`)."""

    secret: str = Field(pattern=r"^/.+$", description="file with the secret that the forge signs with")
    users: tuple[str, ...] = Field((), description="logins whose comments may ask for tests")
    teams: tuple[Annotated[str, Field(pattern=TEAM)], ...] = Field(
        (), description="ORGANISATION/TEAM of the forge whose members may, too; the forge is asked"
    )


class ForgeSettings(Strict):
    """The forge whose pull requests are answered: a comment each, and for cold runs a status of the commit."""

    url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$", description="of the forge; of its API for GitHub")
    token: str = Field(pattern=r"^/.+$", description="file with an access token that may comment and set statuses")
    kind: Literal["forgejo", "gitea", "github"] = "forgejo"
    page: str = Field("", pattern=r"^(|https?://\S+)$", description="address of ci-warm's page, for links")


class WebSettings(Strict):
    """The page and the API, a process of its own (`ci-warm web`)."""

    listen: str = Field(
        "",
        pattern=r"^(|unix:/.+|(127\.0\.0\.1|\[::1\]|localhost):[0-9]{1,5})$",
        description="unix:PATH or loopback:PORT; '' = web.sock in the unit's runtime directory, else 127.0.0.1:8765",
    )
    hosts: tuple[str, ...] = Field((), description="names that it is reached by through a proxy, beside loopback's")
    tokens: str = Field(
        "", pattern=r"^(|/.+)$", description="file of hashed tokens (ci-warm web-token); '' = read-only"
    )
    hook: HookSettings | None = Field(None, description="comments on a forge that ask for tests")
    user: str = Field("ci-warm-web", description="who it runs as; requests of others decide nothing")


class RunSettings(Strict):
    """Test runs: `cold`, `quick` and the sweep's."""

    max_tests: int = Field(1, ge=1, le=64, description="runs at the same time on this host, started by any process")
    domain_suffix: str = Field("", pattern=_SUFFIX, description="default: domain_suffix of the settings")
    signed_only: bool = Field(False, description="test only what one of the recipe's signers signed, commits too")
    user: str = Field("", description="Unix user that checks run as; '' = the user that runs ci-warm")
    min_free: int = Field(1 << 30, ge=0, description="bytes that must be free before a run starts")
    reserve: float = Field(2.1, ge=1, description="free room needed, times the canonical's data")
    keep_failed: Seconds = Field(86400.0, ge=0, description="how long --keep-on-failure keeps a red run up")
    keep_reports: int = Field(200, ge=1, description="reports of finished runs that stay on disk")
    inflight: Seconds = Field(900.0, gt=0, description="a canonical that is being seeded is not asked for again")
    teardown: Seconds = Field(120.0, ge=0, description="a run goes on removing its own stack, or waits for the engine")
    reap: Seconds = Field(20.0, ge=0, description="the reaper goes on removing one dead run; it comes again")
    check_output: int = Field(4 << 20, ge=1024, description="bytes of a check's output that its log keeps")


class SweepSettings(Strict):
    """The nightly sweep."""

    before: tuple[str, ...] = Field((), description="argument list that is run first, e.g. nixos-rebuild switch")
    before_timeout: Seconds = Field(7200.0, gt=0, description="deadline of it")
    before_fine: tuple[int, ...] = Field((0,), description="exit codes of it that are fine")
    before_required: bool = Field(True, description="whether its failure ends the sweep")
    system: str = Field("", pattern=r"^(|/.+)$", description="link that must resolve to `wanted_system` afterwards")
    wanted_system: str = Field("", pattern=r"^(|/.+)$", description="e.g. /nix/var/nix/profiles/system")
    engine_wait: Seconds = Field(300.0, gt=0, description="how long the engine may be away after it")
    cold: bool = Field(True, description="cold runs of all canonicals after the live pass; none enrolled is an alert")
    deadline: Seconds = Field(6 * 3600.0, gt=0, description="no cold run is begun after this")
    wait: Seconds = Field(3600.0, ge=0, description="for tests in flight before it begins; then tonight is skipped")


class RelaySettings(Strict):
    """Who is told about alerts."""

    command: tuple[str, ...] = Field((), description="argument list; gets title, body and alert as JSON on stdin")
    apprise_file: str = Field("", pattern=r"^(|/.+)$", description="file with one Apprise address per line")
    timeout: Seconds = Field(30.0, gt=0, description="deadline of the command, per alert")
    every: Seconds = Field(60.0, gt=0, description="how often the daemon looks for what is to be told")


class KeycloakSettings(Strict):
    """The shared single sign-on, for a realm per run."""

    app: str = Field(description="name of the live app that it is")
    admin: str = Field("admin", description="user of the master realm that may make realms")
    password_file: str = Field(pattern=r"^/.+$", description="file with the admin's password")
    cap: int = Field(250, ge=2, description="no more realms than this; Keycloak slows badly near 300")
    warn: int = Field(200, ge=1, description="alert from this many on")


class Settings(Strict):
    """Everything that is not about one app."""

    engine: Literal["swarm", "embedded"] = "swarm"
    docker_host: str | None = Field(None, description="default: DOCKER_HOST or the local socket")
    domain_suffix: str = Field("", pattern=_SUFFIX, description="canonicals without a domain get warm-<name>.<suffix>")
    group: str = Field("ci-warm", description="group that may read what is published, if it exists")
    notes_patterns: tuple[str, ...] = NOTE_PATTERNS
    fetch_every: Seconds = Field(600.0, ge=0, description="the daemon fetches this often; commands always do")
    drill_every: Seconds = Field(7 * 86400.0, ge=0, description="restore each snapshot for practice; 0 = never")
    remind_after: Seconds = Field(86400.0, gt=0, description="an open alert is counted as a reminder after this")
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    git: GitSettings = GitSettings.model_construct()
    limits: Limits = Limits.model_construct()
    daemon: DaemonSettings = DaemonSettings.model_construct()
    disk: DiskSettings = DiskSettings.model_construct()
    monitor: MonitorSettings = MonitorSettings.model_construct()
    sweep: SweepSettings = SweepSettings.model_construct()
    runs: RunSettings = RunSettings.model_construct()
    relay: RelaySettings = RelaySettings.model_construct()
    web: WebSettings = WebSettings.model_construct()
    forge: ForgeSettings | None = None
    keycloak: KeycloakSettings | None = Field(None, description="where test runs get their realms")

    @model_validator(mode="after")
    def _can_ask_for_teams(self) -> "Settings":
        if self.web.hook is not None and self.web.hook.teams and self.forge is None:
            raise ValueError("web.hook.teams: who is in a team is asked of the forge, and there is no `forge`")
        return self
