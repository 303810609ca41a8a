"""Scenes that several tests of the daemon start from."""

from tests.lab import V1, Lab, until

QUICK = {"interval": "1s", "jitter": "0s", "watch": "100ms", "event_gap": "100ms"}


def deployed(host: Lab, version: str = V1) -> None:
    until(lambda: (host.state / host.name / "last_good").exists() and host.known() == version, 30, f"{version} runs")
