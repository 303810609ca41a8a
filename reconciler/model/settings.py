"""The daemon's own settings: `/etc/ci-warm/config.yaml`. Pure. Each default has its unit and reason here."""

from typing import Literal

from pydantic import Field

from reconciler.model.base import Seconds, Strict

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


class Settings(Strict):
    """Everything that is not about one app."""

    engine: Literal["swarm", "embedded"] = "swarm"
    docker_host: str | None = Field(None, description="default: DOCKER_HOST or the local socket")
    domain_suffix: str = Field("", description="canonicals without a domain get warm-<name>.<suffix>")
    group: str = Field("ci-warm", description="group that may read what is published, if it exists")
    notes_patterns: tuple[str, ...] = NOTE_PATTERNS
    fetch_every: Seconds = Field(0.0, ge=0, description="fetch a recipe at most this often; 0 = every pass")
    remind_after: Seconds = Field(86400.0, gt=0, description="an open alert is counted as a reminder after this")
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    git: GitSettings = GitSettings()
    limits: Limits = Limits()
