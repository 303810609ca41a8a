"""ci-warm on a Debian host under a real systemd, with a Swarm of its own: install, harden, stop, crash, sweep."""

import json

import pytest

from tests.hosts.engine_host import HEALTH, V1, V2, V3
from tests.systemd import judged
from tests.systemd.apps import DATA, Notes
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.long, pytest.mark.timeout(600), pytest.mark.together("systemd")]


def test_the_units_are_sound_and_hardened(host: Notes) -> None:
    judged.units(host)


def test_installed_as_documented_it_deploys_upgrades_and_says_so(host: Notes) -> None:
    assert host.machine.show("ci-warm", "ActiveState") == "active"
    assert host.answer() == "5.0.0"
    host.release(V2, SCHEMA="2")
    host.until_known(V2)
    assert host.answer() == "5.0.1"
    until(lambda: host.machine.show("ci-warm", "StatusText") == "1 apps", 20)
    assert "ci-warm-sweep.timer" in host.sh("systemctl list-timers --no-legend")
    code = "import socket; s=socket.socket(socket.AF_UNIX); s.connect('/run/ci-warm/http.sock'); "
    code += "s.sendall(b'GET /readyz HTTP/1.0\\r\\n\\r\\n'); print(s.makefile().read())"
    assert '"status": "ready"' in host.sh(f'python3 -c "{code}"')
    priorities = host.sh("journalctl --unit=ci-warm --output=json --output-fields=PRIORITY,MESSAGE | head -5")
    assert '"PRIORITY":"6"' in priorities.replace(" ", "")
    host.doctor()


def plant(host: Notes) -> str:
    """Put everything into the volume that one can hold; how it looks."""
    host.sh(
        f"cd {DATA} && echo x >odd && chown 1234:4321 odd && setfattr -n user.colour -v red odd && "
        "cp /bin/true setuid && chmod 6755 setuid && mknod dev c 1 3 && chmod 640 dev && "
        "echo x >acl && setfacl -m u:77:r acl && cp /bin/true cap && setcap cap_net_raw+ep cap && "
        "touch -d '2001-02-03 04:05:06' odd setuid dev acl cap"
    )
    return host.listing()


def test_the_marquee_with_everything_a_volume_can_hold_under_the_hardening(host: Notes) -> None:
    before = plant(host)
    host.release(V2, SCHEMA="2", FAIL="after")
    until(lambda: host.history()[-1] == f"rolled-back:{V2}->{V1}", 90)
    assert host.listing() == before
    assert host.answer() == "5.0.0" and host.known() == V1
    assert "-rollback.json" in host.sh("ls /var/lib/ci-warm/alerts")
    host.doctor()


def test_the_sweep_restores_all_of_it_under_its_own_hardening(host: Notes) -> None:
    before = plant(host)
    host.sh("systemctl stop ci-warm")
    host.settings(sweep={"cold": False})
    host.release(V2, SCHEMA="2", FAIL="after")
    host.sh("systemctl start ci-warm-sweep", check=False)
    assert host.history()[-1] == f"rolled-back:{V2}->{V1}"
    assert host.listing() == before and host.answer() == "5.0.0"
    host.sh("systemctl reset-failed; systemctl start ci-warm")
    host.doctor()


def test_the_sweep_finds_credentials_where_specs_look_for_them(host: Notes) -> None:
    judged.sweep_with_credentials(host)


def before_sweep(host: Notes, *argv: str) -> str:
    """What a command before the sweep says, and whether the sweep ended well."""
    host.settings(sweep={"before": argv, "cold": False})
    host.sh("rm -rf /var/lib/ci-warm/sweeps; systemctl start ci-warm-sweep", check=False)
    said = host.sh("cat /var/lib/ci-warm/sweeps/*-before.log")
    result = host.machine.show("ci-warm-sweep", "Result")
    host.sh("systemctl reset-failed ci-warm-sweep", check=False)
    return f"{said} {result}".strip()


def test_a_command_before_the_sweep_leaves_what_others_can_read(host: Notes) -> None:
    assert before_sweep(host, "git", "init", "--quiet", "/etc/made") == "success"
    assert host.sh("stat -c %a /etc/made /etc/made/.git/config") == "755\n644"
    host.sh("rm -r /etc/made")


def test_a_command_that_changes_the_system_itself_needs_a_unit_of_its_own(host: Notes) -> None:
    assert "Read-only file system" in before_sweep(host, "touch", "/usr/made")
    assert before_sweep(host, "systemd-run", "--wait", "--quiet", "touch", "/usr/made") == "success"
    host.sh("rm /usr/made")


def test_proxies_that_lead_nowhere_harm_nothing_that_is_on_this_host(host: Notes) -> None:
    proxies = "".join(f"Environment={name}=http://127.0.0.1:9\n" for name in ("http_proxy", "https_proxy", "all_proxy"))
    host.drop_in("ci-warm.service", f"[Service]\n{proxies}")
    host.drop_in("ci-warm-sweep.service", f"[Service]\n{proxies}")
    host.sh("systemctl restart ci-warm")
    host.release(V2, SCHEMA="2")
    host.until_known(V2)
    assert before_sweep(host, "env").count("=http://127.0.0.1:9\n") >= 3
    assert host.machine.show("ci-warm-sweep", "Result") == "success"
    host.doctor()


CHECK = """#!/bin/sh
set -e
test "$(id -un)" = nobody
test "$(umask)" = 0022
unshare --user true
python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)'
"""


def test_checks_of_the_sweep_run_as_another_user_and_may_be_browsers(host: Notes) -> None:
    host.sh("systemctl stop ci-warm")
    path = host.recipe.folder / "ci" / "browses.sh"
    path.parent.mkdir()
    path.write_text(CHECK)
    path.chmod(0o755)
    host.release(V2, SCHEMA="2")
    spec = {
        "name": "canon",
        "kind": "canonical",
        "recipe": {"url": "file:///lab/recipe"},
        "stateful": True,
        "domain": "warm-notes.example.test",
        "health": {**HEALTH, "port": 8098},
        "env": {"PUBLISHED_PORT": "8098"},
        "tests": {"checks": [{"name": "browses", "run": ["ci/browses.sh"]}]},
    }
    host.settings(runs={"min_free": 0, "domain_suffix": "example.test", "user": "nobody"})
    host.write("/etc/ci-warm/apps/canon.yaml", json.dumps(spec))
    host.sh("systemctl start ci-warm-sweep", check=False)
    assert host.machine.show("ci-warm-sweep", "Result") == "success", host.machine.journal("ci-warm-sweep")
    assert f"cold-green:{V2}" in host.history()
    host.sh("systemctl start ci-warm")
    host.doctor()


def test_a_restart_in_mid_upgrade_ends_well(host: Notes) -> None:
    host.release(V2, SCHEMA="2", LATE="3")
    until(host.journal, 60, "the upgrade began")
    host.sh("systemctl restart ci-warm")
    until(lambda: len(host.history()) >= 2 and not host.journal(), 90, "a terminal outcome")
    assert host.machine.show("ci-warm", "Result") == "success"
    assert host.history()[1] in (f"aborted:{V1}->{V2}", f"upgraded:{V1}->{V2}")
    until(lambda: host.answer() in ("5.0.0", "5.0.1"), 30)
    host.doctor()


def test_a_stop_waits_for_a_long_step_beyond_its_own_deadline(host: Notes) -> None:
    host.sh("sed -i 's/^TimeoutStopSec=.*/TimeoutStopSec=3s/' /etc/systemd/system/ci-warm.service")
    host.sh("systemctl daemon-reload && systemctl restart ci-warm")
    host.drop_in("ci-warm.service", "[Service]\nWatchdogSec=6s\n")
    host.sh("systemctl restart ci-warm")
    stubborn = "IGNORE_TERM"
    host.release(V2, SCHEMA="2", **{stubborn: "1"})
    host.until_known(V2)
    host.release(V3, SCHEMA="3")
    # The undeploy of V2 takes the app's whole grace of 5 s, longer than the unit may take to stop.
    until(lambda: host.journal().get("step") == "undeploy", 60)
    host.sh("systemctl stop ci-warm")
    assert host.machine.show("ci-warm", "Result") == "success"
    assert '"event": "stopped"' in host.machine.journal()
    assert host.journal()["step"] != "undeploy"
    host.sh("systemctl start ci-warm")
    until(lambda: not host.journal(), 90)
    host.doctor()


def test_a_daemon_that_hangs_is_killed_and_comes_back(host: Notes) -> None:
    host.drop_in("ci-warm.service", "[Service]\nWatchdogSec=3s\nRestartSec=0\n")
    host.sh("systemctl restart ci-warm")
    first = host.machine.show("ci-warm", "MainPID")
    until(lambda: '"event": "pass"' in host.machine.journal(), 30)
    host.sh(f"kill -STOP {first}")
    until(lambda: host.machine.show("ci-warm", "NRestarts") == "1", 60, "the watchdog bites")
    until(lambda: host.machine.show("ci-warm", "ActiveState") == "active", 60)
    assert host.machine.show("ci-warm", "MainPID") != first
    assert "watchdog" in host.machine.journal().lower()
    assert host.answer() == "5.0.0"
    host.doctor()


def test_wrong_settings_do_not_make_a_crash_loop(host: Notes) -> None:
    host.settings(daemon={"interval": "often"})
    host.sh("systemctl restart ci-warm", check=False)
    until(lambda: host.machine.show("ci-warm", "ActiveState") == "failed", 30)
    assert host.machine.show("ci-warm", "NRestarts") == "0"
    assert "daemon.interval" in host.machine.journal()
    assert host.answer() == "5.0.0"
    host.settings()
    host.sh("systemctl reset-failed ci-warm && systemctl start ci-warm")
    host.doctor()


def test_a_reload_takes_new_specs_and_refuses_wrong_ones(host: Notes) -> None:
    pid = host.machine.show("ci-warm", "MainPID")
    host.write("/etc/ci-warm/apps/wrong.yaml", "name: [\n")
    assert "wrong.yaml" in host.sh(
        "systemctl reload ci-warm; journalctl --unit=ci-warm --output=cat | tail -5", check=False
    )
    host.sh("rm /etc/ci-warm/apps/wrong.yaml && systemctl reload ci-warm")
    assert host.machine.show("ci-warm", "MainPID") == pid
    host.doctor()


def test_the_machine_crashes_in_mid_upgrade(host: Notes) -> None:
    host.release(V2, SCHEMA="2", FAIL="after")
    until(lambda: host.journal().get("step") in ("deploy", "settle"), 60)
    host.machine.crash()
    until(lambda: host.history()[-1] == f"rolled-back:{V2}->{V1}" and not host.journal(), 120)
    until(lambda: host.answer() == "5.0.0", 30)
    assert "schema 2" not in host.sh(f"cat {DATA}/notes.txt")
    host.doctor()


def test_the_nightly_timer_catches_up_a_night_that_was_missed(host: Notes) -> None:
    host.settings(sweep={"before": ["/bin/echo", "switched"], "cold": False})
    host.sh("systemctl stop ci-warm-sweep.timer")
    host.drop_in("ci-warm-sweep.timer", "[Timer]\nRandomizedDelaySec=0\nAccuracySec=1s\n")
    host.sh("touch -d '2 days ago' /var/lib/systemd/timers/stamp-ci-warm-sweep.timer")
    host.sh("systemctl start ci-warm-sweep.timer")
    until(lambda: '"result":"done"' in host.sh("cat /var/lib/ci-warm/sweeps/*.json", check=False).replace(" ", ""), 60)
    until(lambda: host.machine.show("ci-warm-sweep", "ActiveState") == "inactive", 30)
    assert host.machine.show("ci-warm-sweep", "Result") == "success"
    assert "switched" in host.sh("cat /var/lib/ci-warm/sweeps/*-before.log")
    host.sh("systemctl start ci-warm-sweep")
    assert "came to a good end already" in host.machine.journal("ci-warm-sweep")
    host.doctor()


def switched(host: Notes, change: str) -> str:
    """Settings of a sweep whose command before is a switch to units that `change` (sed) made of ours."""
    host.sh("rm -rf /lab/next && mkdir /lab/next && cp /etc/systemd/system/ci-warm* /lab/next")
    host.sh(f"cd /lab/next && {change}")
    host.settings(sweep={"before": ["/usr/bin/python3", "/opt/switch.py", "/lab/next"], "cold": False})
    host.sh("systemctl start ci-warm-sweep")
    return host.sh("cat /var/lib/ci-warm/sweeps/*-before.log; rm -f /var/lib/ci-warm/sweeps/*")


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ("sed -i 's/^TimeoutStartSec=.*/TimeoutStartSec=11h/' ci-warm-sweep.service", "skip ci-warm-sweep.service"),
        ("rm ci-warm-sweep.service ci-warm-sweep.timer", "keep ci-warm-sweep.service"),
    ],
    ids=["its unit changed", "its unit removed"],
)
def test_the_sweep_survives_the_switch_that_it_runs_itself(host: Notes, change: str, done: str) -> None:
    said = switched(host, change)
    assert done in said and "switched" in said
    assert host.machine.show("ci-warm-sweep", "Result") == "success"


def test_a_switch_to_a_changed_daemon_restarts_it_once_and_the_step_is_finished(host: Notes) -> None:
    host.release(V2, SCHEMA="2")
    until(host.journal, 60, "the upgrade began")
    said = switched(host, "sed -i 's/^RestartSec=.*/RestartSec=6s/' ci-warm.service")
    assert "restart ci-warm.service" in said
    until(lambda: len(host.history()) >= 2 and not host.journal(), 90, "a terminal outcome")
    assert host.machine.show("ci-warm", "Result") == "success"
    assert host.history()[1] in (f"aborted:{V1}->{V2}", f"upgraded:{V1}->{V2}")
    host.doctor()


def test_the_daemon_seeds_a_canonical_under_its_hardening_and_the_sweep_finds_it_green(host: Notes) -> None:
    path = host.recipe.folder / "ci" / "answers.sh"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\npython3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8098/')\"\n")
    path.chmod(0o755)
    host.release(V2, SCHEMA="2")
    spec = {
        "name": "canon",
        "kind": "canonical",
        "recipe": {"url": "file:///lab/recipe"},
        "stateful": True,
        "domain": "warm-notes.example.test",
        "health": {**HEALTH, "port": 8098},
        "env": {"PUBLISHED_PORT": "8098"},
        "tests": {"checks": [{"name": "answers", "run": ["ci/answers.sh"]}]},
    }
    host.settings(runs={"min_free": 0, "domain_suffix": "example.test"})
    host.write("/etc/ci-warm/apps/canon.yaml", json.dumps(spec))
    until(lambda: "idle" in host.sh("ci-warm canonical list", check=False), 120, "the canonical is warm")
    assert f"cold-green:{V2}" in host.history()
    assert host.sh("docker service ls -q --filter label=com.docker.stack.namespace=warm-notes_example_test") == ""
    host.sh("systemctl start ci-warm-sweep")
    assert host.machine.show("ci-warm-sweep", "Result") == "success"
    report = json.loads(host.sh("cat /var/lib/ci-warm/sweeps/*.json"))
    [cold] = [item for item in report["items"] if item["name"] == "cold canon"]
    assert (cold["result"], "green already" in cold["detail"]) == ("skipped", True)
    host.sh("ci-warm quick canon")
    assert host.history()[-1] == f"quick-green:{V2}"
    host.doctor()
