"""Scenes that several tests of the daemon start from."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.waiting import until

QUICK = {"interval": "1s", "jitter": "0s", "watch": "100ms", "event_gap": "100ms"}


def deployed(host: EngineHost, version: str = V1) -> None:
    until(
        lambda: (host.state / host.name / "last_good").exists() and host.observed.known() == version,
        30,
        f"{version} runs",
    )


@contextmanager
def asked(home: Path, engine: str = "embedded") -> Iterator[EngineHost]:
    """A host whose page runs as the user of the tests, so that what they ask for may be decided."""
    with engine_host(home, engine) as made:
        made.set(daemon=QUICK, fetch_every="1s", web={"user": pwd.getpwuid(os.getuid()).pw_name})
        made.release(V1)
        yield made
