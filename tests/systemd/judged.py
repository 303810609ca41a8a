"""What must hold of the units on every host, whatever its systemd and its engine."""

import json

from tests.systemd.apps import Notes

AT = "/etc/systemd/system"
# Ten times what systemd-analyze says; their own comments say why they are not lower.
DAEMON, SWEEP, WEB = 25, 48, 15


def units(host: Notes) -> None:
    """They are sound, and as hard as they are said to be."""
    host.sh(f"systemd-analyze verify --man=no --recursive-errors=yes {AT}/ci-warm* 2>&1")
    host.sh(f"systemd-analyze security --offline=true --threshold={DAEMON} {AT}/ci-warm.service")
    host.sh(f"systemd-analyze security --offline=true --threshold={SWEEP} {AT}/ci-warm-sweep.service")
    host.sh(f"systemd-analyze security --offline=true --threshold={WEB} {AT}/ci-warm-web.service")
    host.sh("systemd-analyze calendar '*-*-* 02:30:00'")


def sweep_with_credentials(host: Notes) -> None:
    """The sweep, as the NixOS module gives it credentials, finds them where specs look for those of the daemon."""
    host.write("/run/keys/token", "correct horse")
    host.drop_in("ci-warm.service", "[Service]\nLoadCredential=token:/run/keys/token\n")
    host.drop_in(
        "ci-warm-sweep.service",
        "[Service]\nLoadCredential=token:/run/keys/token\n"
        "BindReadOnlyPaths=/run/credentials/ci-warm-sweep.service:/run/credentials/ci-warm.service\n",
    )
    try:
        host.settings(sweep={"before": ["/bin/cat", "/run/credentials/ci-warm.service/token"], "cold": False})
        for state in ("restart", "stop"):
            host.sh(f"systemctl {state} ci-warm; rm -rf /var/lib/ci-warm/sweeps; systemctl start ci-warm-sweep")
            assert host.machine.show("ci-warm-sweep", "Result") == "success"
            assert "correct horse" in host.sh("cat /var/lib/ci-warm/sweeps/*-before.log"), state
            [report] = json.loads(f"[{host.sh('cat /var/lib/ci-warm/sweeps/*.json')}]")
            assert report["result"] == "done", report
    finally:
        host.sh(f"rm -f {AT}/ci-warm.service.d/test.conf {AT}/ci-warm-sweep.service.d/test.conf")
        host.sh("systemctl daemon-reload && systemctl start ci-warm")
