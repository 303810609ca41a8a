"""Scenes that several tests of the daemon start from."""

from tests.hosts.engine_host import V1, EngineHost
from tests.waiting import until

QUICK = {"interval": "1s", "jitter": "0s", "watch": "100ms", "event_gap": "100ms"}


def deployed(host: EngineHost, version: str = V1) -> None:
    until(
        lambda: (host.state / host.name / "last_good").exists() and host.observed.known() == version,
        30,
        f"{version} runs",
    )
