"""The commands that judge an app, and files of backups."""

import errno
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.checks import CommandChecks
from reconciler.model.errors import ActError
from reconciler.model.tests import CheckSpec
from reconciler.node.volume_files import VolumeFiles
from reconciler.ports.checks import CheckJob
from tests.hosts.engine_host import V3, EngineHost
from tests.runs.scenes import commit, started
from tests.waiting import until


def test_a_check_does_not_outlive_its_runner(small: EngineHost) -> None:
    mark = f"forever-{small.mark}"
    commit(small, {"ci/forever.sh": f"#!/bin/sh\nsh -c 'sleep 302; : {mark}'\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "forever", "run": ["ci/forever.sh"]}]})
    child = started(small, "cold", small.name)
    until(lambda: _running(mark), 20)
    child.kill()
    child.wait()
    assert small.program.command("runs", "reap").returncode == 0
    until(lambda: not _running(mark), 10, "the check is gone")


def _running(mark: str) -> bool:
    return subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).stdout != b""


def job(tmp_path: Path, script: str, *, secret: str = "", timeout_s: float = 20) -> CheckJob:
    program = tmp_path / "check.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return CheckJob(
        check=CheckSpec(name="check", run=(str(program),)),
        folder=tmp_path,
        environment={},
        log=tmp_path / "log",
        user="",
        output_cap=1 << 20,
        secrets=[secret] if secret else [],
        timeout_s=timeout_s,
    )


def test_a_check_that_cannot_be_its_user_is_the_hosts_fault_and_not_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    checks, asked = CommandChecks(time.sleep), job(tmp_path, "true")
    with pytest.raises(ActError, match="no such user") as found:
        checks.run(replace(asked, user="nobody-of-that-name"))
    assert found.value.host_fault
    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(ActError, match="CAP_SETUID"):
        checks.run(replace(asked, user="nobody"))
    assert checks.run(asked).detail.endswith("cannot be started: Operation not permitted")


def test_a_host_without_the_checks_user_is_an_error_and_not_red(small: EngineHost) -> None:
    commit(small, {"ci/fine.sh": "#!/bin/sh\nexit 0\n"})
    small.release(V3, SCHEMA="2")
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "user": "nobody-of-that-name"})
    small.write_spec(tests={"checks": [{"name": "fine", "run": ["ci/fine.sh"]}]})
    run = small.program.test()
    assert (run.result, "there is no user" in " ".join(run.notes)) == ("error", True), run
    assert small.observed.left() == []


def test_who_leaves_its_group_and_its_mark_is_ended_all_the_same(tmp_path: Path) -> None:
    mark = f"runaway-{os.getpid()}"
    script = f"setsid env -i /bin/sh -c 'sleep 303; : {mark}' </dev/null >/dev/null 2>&1 &\nsleep 0.3"
    found = CommandChecks(time.sleep).run(job(tmp_path, script))
    assert found.passed and not _running(mark)


def test_a_secret_across_a_cut_is_masked(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    for before in (49140, 49150, 49152, 16380):
        script = f"head -c {before} /dev/zero | tr '\\\\0' x; printf '{secret}'; head -c 60000 /dev/zero | tr '\\\\0' y"
        (tmp_path / "log").unlink(missing_ok=True)
        assert CommandChecks(time.sleep).run(job(tmp_path, script, secret=secret)).passed
        assert secret not in (tmp_path / "log").read_text()


def test_a_backup_keeps_owners_and_modes_and_follows_no_link(as_root: None, tmp_path: Path) -> None:
    volume, saved = tmp_path / "volume", tmp_path / "saved"
    (volume / "dumps" / "deep").mkdir(parents=True)
    saved.mkdir()
    (volume / "dumps" / "deep" / "a.sql").write_text("data")
    for name, mode in (("dumps", 0o700), ("dumps/deep", 0o2750), ("dumps/deep/a.sql", 0o4755)):
        os.chown(volume / name, 33, 34)
        (volume / name).chmod(mode)
    with (volume / "sparse").open("wb") as out:
        out.truncate(1 << 40)
    host = tmp_path / "host"
    host.write_text("the host's own")
    desk = VolumeFiles()
    assert desk.take(volume, ["dumps", "sparse"], saved) == 4
    assert (saved / "sparse").stat().st_blocks < 100
    shutil.rmtree(volume / "dumps")
    desk.give(volume, ["dumps"], saved)
    found = [(p.stat().st_uid, p.stat().st_gid, p.stat().st_mode & 0o7777) for p in sorted(volume.rglob("dumps*"))]
    assert found == [(33, 34, 0o700)]
    assert (volume / "dumps/deep/a.sql").stat().st_mode & 0o7777 == 0o4755
    assert (volume / "dumps/deep").stat().st_mode & 0o7777 == 0o2750
    (volume / "link").symlink_to(host)
    with pytest.raises(ActError, match="neither a file nor a folder"):
        desk.take(volume, ["link"], tmp_path / "elsewhere")
    (volume / "out").symlink_to(tmp_path)
    with pytest.raises(ActError, match="cannot be backed up"):
        desk.take(volume, ["out/host"], saved)
    with pytest.raises(ActError, match="cannot be restored"):
        desk.give(volume, ["out/dumps"], tmp_path)


def test_operators_may_read_what_checks_leave(small: EngineHost) -> None:
    commit(small, {"ci/shot.sh": "#!/bin/sh\nmkdir $CI_WARM_ARTEFACTS/deep\necho x > $CI_WARM_ARTEFACTS/deep/shot\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "shot", "run": ["ci/shot.sh"]}]})
    assert small.program.command("cold", small.name).returncode == 0
    [shot] = (small.state / "runs").glob("*/artefacts/deep/shot")
    assert (shot.stat().st_mode & 0o777, shot.parent.stat().st_mode & 0o777) == (0o640, 0o750)
