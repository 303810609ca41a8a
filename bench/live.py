"""A real Keycloak on a real Swarm, as ratios in one run: `python -m bench.live`. Needs root, a swarm, and its images.

Against a plain undeploy and deploy of the same version: what a healthy upgrade keeps it down, and what a rollback takes
from the verdict to the healthy prior.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.saying import say
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.model.history import HistoryLine
from tests.live import images
from tests.live.keycloak import Keycloak
from tests.live.site import PREFIX, site
from tests.live.test_keycloak import BAD, A, B, replaced

FORWARD = ("undeploy", "quiesce", "snapshot", "deploy", "settle", "verify")
BACK = ("back-undeploy", "back-quiesce", "back-restore", "back-deploy", "back-settle", "back-verify")
PLAIN = 3


def last(keycloak: Keycloak) -> HistoryLine:
    return list(keycloak.site.build().history.lines())[-1]


def shown(line: HistoryLine, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {line.phases[name]:.1f}" for name in names if line.phases.get(name, 0) >= 0.05)


def plain(keycloak: Keycloak) -> float:
    """Undeploy and deploy of what runs, with the same gates: seconds from the first stop to the last good answer."""
    engine = keycloak.site.build().ports.engine
    assert isinstance(engine, SwarmEngine)
    began = time.monotonic()
    engine.undeploy(keycloak.site.build().spec(keycloak.name).stack_name)
    result = keycloak.reconcile()
    assert result.startswith("deployed:"), result
    return time.monotonic() - began


def main() -> None:
    images.postgres(PREFIX)
    for version in ("26.5.5", "26.5.6"):
        images.keycloak(PREFIX, version)
    with tempfile.TemporaryDirectory() as made, site(Path(made) / "site") as host:
        keycloak = Keycloak(host)
        host.publish("keycloak", A)
        keycloak.enrol()
        keycloak.reconcile()
        keycloak.plant()
        before = statistics.median(plain(keycloak) for _ in range(PLAIN))
        host.publish("keycloak", B)
        keycloak.reconcile()
        up = last(keycloak)
        down = sum(up.phases.get(name, 0.0) for name in FORWARD)
        after = statistics.median(plain(keycloak) for _ in range(PLAIN))
        bad = replaced("compose.yml", "KC_HOSTNAME=${KC_HOSTNAME:-https://${DOMAIN}}", "KC_HOSTNAME=http://not a host/")
        host.publish("keycloak", BAD, bad)
        keycloak.reconcile()
        back = last(keycloak)
        took = sum(back.phases.get(name, 0.0) for name in BACK)
        base = statistics.median((before, after))
        say("Keycloak: plain undeploy and deploy, before and after", f"{before:.1f} s, {after:.1f} s")
        say(f"Keycloak {up.result}: down", f"{down:.1f} s, {down / base:.2f}x", "1.15x")
        say("  " + shown(up, FORWARD), "")
        say("Keycloak rolled back: verdict to healthy prior", f"{took:.1f} s, {took / base:.2f}x", "1.25x")
        say("  " + shown(back, (*FORWARD, *BACK)), "")


if __name__ == "__main__":
    os.umask(0o077)
    main()
