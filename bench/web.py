"""The page's speed: `python -m bench.web [APPS...]`. Needs nothing. Prints median, least and most of each figure.

A real `ci-warm web` with a token, on a state root with so many apps (200 and 2,000 unless told), 10,000 lines of
history, and the alerts, runs and nights that a whole life left. The clients run on the same machine.
"""

import http.client
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from bench.daemon import rss_mib
from bench.saying import say
from reconciler.model.history import HistoryLine
from reconciler.web.access import Role
from tests.hosts.engine_host import V1, V2
from tests.web.site import Site, copy_state

LINES = 10_000
LOOKS = 30
CLIENTS = 4
LOAD_S = 5.0
ROUNDS = 3
EVERY = 20
"""Each so manieth app is held."""


def _write_state(root: Path, apps: int) -> None:
    """A root as a daemon leaves it. `root` must not exist."""
    copy_state(root)
    began = datetime(2026, 11, 1, tzinfo=UTC)
    lines = []
    for number in range(LINES):
        at = began + timedelta(minutes=4 * number)
        line = HistoryLine(
            ts=at,
            op_id=f"20261101t000000-{number:08x}",
            app=f"app-{number % apps:04d}",
            action="upgrade",
            **{"from": V1, "to": V2},  # as the file has them
            commit="c" * 40,
            result=f"upgraded:{V1}->{V2}",
            elapsed_seconds=12.5,
            phases={"undeploy": 0.4, "quiesce": 0.1, "snapshot": 0.5, "deploy": 0.1, "settle": 10.3, "verify": 0.9},
            actor="timer",
            message="the app answered",
        )
        lines.append(line.model_dump_json(by_alias=True))
    (root / "history.jsonl").write_text("\n".join(lines) + "\n")
    publish(root, apps, 0)


def publish(root: Path, apps: int, number: int) -> None:
    """What a pass publishes, by one rename."""
    at = f"{datetime(2026, 11, 29, tzinfo=UTC) + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}Z"
    hold = {"reason": "held-major", "detail": "2.0.0+6 is a major release", "clears_when": "ci-warm approve"}
    entries = [
        {
            "app": f"app-{one:04d}",
            "kind": "live",
            "status": "out-of-sync" if one % EVERY == 0 else "in-sync",
            "result": "held-major" if one % EVERY == 0 else "noop-healthy",
            "known_good": "1.0.1+5.0.1",
            "candidate": "2.0.0+6.0.0" if one % EVERY == 0 else "1.0.1+5.0.1",
            "fallback": "1.0.0+5.0.0",
            "holds": [hold] if one % EVERY == 0 else [],
            "at": at,
        }
        for one in range(apps)
    ]
    report = {"schema_version": 1, "at": at, "elapsed_seconds": 0.3, "engine": "swarm", "apps": entries}
    made = root / ".status"
    made.write_text(json.dumps(report))
    made.rename(root / "status.json")


@contextmanager
def _served(apps: int) -> Iterator[tuple[Site, int, str]]:
    """The site, its process and the cookie of somebody who has logged in."""
    with tempfile.TemporaryDirectory() as made:
        site = Site(home=Path(made) / "etc", state=Path(made) / "state", roles=(Role.OPERATE,))
        _write_state(site.state, apps)
        with site.serving() as process, requests.Session() as session:
            session.post(f"{site.url}/login", data={"token": site.tokens[Role.OPERATE]}, timeout=60)
            yield site, process.pid, "; ".join(f"{one.name}={one.value}" for one in session.cookies)


def _get(link: http.client.HTTPConnection, path: str, cookie: str) -> bytes:
    link.request("GET", path, headers={"cookie": cookie, "accept-encoding": "gzip"})
    answer = link.getresponse()
    body = answer.read()
    assert answer.status == 200, (answer.status, body[:200])
    return body


def _look(site: Site, path: str, cookie: str, before: Callable[[int], None]) -> list[float]:
    """Milliseconds from the request to the last byte, on one connection, of LOOKS requests."""
    link = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    _get(link, path, cookie)
    took = []
    for number in range(LOOKS):
        before(number)
        began = time.perf_counter()
        _get(link, path, cookie)
        took.append((time.perf_counter() - began) * 1000)
    link.close()
    return took


def _count(port: int, cookie: str, ends: float) -> int:
    """How many overviews one client gets until then."""
    link, got = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
    while time.monotonic() < ends:
        _get(link, "/", cookie)
        got += 1
    link.close()
    return got


def _load(site: Site, cookie: str) -> list[float]:
    """Requests per second of CLIENTS processes that each keep their connection, of ROUNDS rounds."""
    rates = []
    with multiprocessing.Pool(CLIENTS) as pool:
        pool.starmap(_count, [(site.port, cookie, 0.0)] * CLIENTS)  # each has started
        for _ in range(ROUNDS):
            began = time.monotonic()
            got = pool.starmap(_count, [(site.port, cookie, began + LOAD_S)] * CLIENTS, chunksize=1)
            rates.append(sum(got) / (time.monotonic() - began))
    return rates


def _tell(name: str, found: list[float], unit: str, goal: str = "") -> None:
    say(name, f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f}) {unit}", goal)


def measure(apps: int) -> None:
    """Every figure on a root with so many apps."""
    goal = "goal 50 ms" if apps <= 200 else "goal 200 ms"
    with _served(apps) as (site, pid, cookie):
        for name, path in (("overview", "/"), ("an app's page", f"/apps/app-{apps // 2:04d}")):
            _tell(f"{apps} apps: {name}, nothing has changed", _look(site, path, cookie, lambda _: None), "ms", goal)
            after = _look(site, path, cookie, lambda number: publish(site.state, apps, number))
            _tell(f"{apps} apps: {name}, right after a pass", after, "ms", goal)
        _tell(
            f"{apps} apps: overviews, {CLIENTS} clients", _load(site, cookie), "/s", "goal 300/s" if apps <= 200 else ""
        )
        say(f"{apps} apps: memory of the process after it", f"{rss_mib(pid):.0f} MiB", "goal 90 MiB")
        link = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        parts = [len(_get(link, path, cookie)) for path in ("/", "/static/style.css", "/static/live.js")]
        link.close()
        size = f"{sum(parts) / 1024:.0f} KiB ({parts[0] / 1024:.0f} of page)"
        say(f"{apps} apps: first page with style and script", size, "goal 100 KiB" if apps <= 200 else "")


if __name__ == "__main__":
    os.umask(0o077)
    for count in map(int, sys.argv[1:] or ("200", "2000")):
        measure(count)
