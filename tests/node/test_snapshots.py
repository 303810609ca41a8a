"""Snapshots keep everything a file system can say, are verified, and nothing hostile gets outside."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName
from reconciler.model.observed import VolumeObs
from reconciler.model.snapshot import SnapshotManifest
from reconciler.node.snapshots import archive, content, members, tree, unpack
from reconciler.node.snapshots.store import FolderSnapshots
from tests.builders import NOW

APP = AppName("notes")


def volume(path: Path, name: str = "data") -> VolumeObs:
    return VolumeObs(name=name, driver="local", options={}, labels={}, path=str(path))


def manifest(name: str = "s1") -> SnapshotManifest:
    return SnapshotManifest(
        id=name,
        app=APP,
        stack="s",
        version="1.0.0+5",
        commit="c",
        images={},
        node="n",
        created_at=NOW,
        op_id=name,
        volumes=(),
    )


def nothing() -> None:
    return None


def entries(root: Path) -> list[tuple[object, ...]]:
    """Everything that must be equal, read anew."""
    found = []
    for visit in tree.walk(root):
        if visit.entry.type == tree.FILE:
            fd = os.open(visit.name, os.O_RDONLY, dir_fd=visit.folder)
            visit.entry.digest = content.range_digest(fd, 0, visit.entry.size)
            os.close(fd)
        found.append(visit.entry.same())
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    found = tmp_path / "vol" / "_data"
    found.mkdir(parents=True)
    return found


def make_everything(data: Path) -> None:
    """One of each kind that needs no root."""
    (data / "plain").write_bytes(b"x" * 100_000)
    (data / "empty").touch()
    (data / "sub" / "deep").mkdir(parents=True)
    (data / "sub" / "deep" / "file").write_text("deep")
    os.link(data / "plain", data / "sub" / "hard")
    (data / "link").symlink_to("/etc/passwd")
    (data / "dangling").symlink_to("nowhere" * 30)
    os.mkfifo(data / "fifo")
    with (data / "sparse").open("wb") as sparse:
        sparse.truncate(64 << 20)
        sparse.seek(10 << 20)
        sparse.write(b"island")
    (data / ("n" * 200)).write_text("long name")
    Path(os.fsdecode(bytes(data) + b"/not-utf8-\xff")).write_text("bytes")
    (data / "mode").write_text("m")
    (data / "mode").chmod(0o4751)
    os.setxattr(data / "plain", "user.note", b"\x00binary")
    for number, path in enumerate(sorted(data.rglob("*"), key=lambda p: -len(p.parts))):
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + number), follow_symlinks=False)
    os.utime(data, ns=(0, 1_600_000_000_000_000_001))
    data.chmod(0o2750)


def test_a_round_trip_loses_nothing(data: Path, tmp_path: Path) -> None:
    make_everything(data)
    before = entries(data)
    store = FolderSnapshots(tmp_path)
    done = store.create(manifest(), [volume(data)], before_exchange=nothing)
    assert store.verify(APP) == ()
    assert done.volumes[0].archive_bytes < 1 << 20, "holes are not stored"
    for path in list(data.iterdir()):
        if path.is_dir():
            subprocess.run(["rm", "-rf", str(path)], check=True)
        else:
            path.unlink()
    (data / "new").write_text("of the failed release")
    store.restore(APP, [volume(data)], "op")
    assert entries(data) == before
    assert (data / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (data / "plain").stat().st_ino == (data / "sub" / "hard").stat().st_ino
    [aside] = data.parent.glob(".ci-warm-aside-*")
    assert (aside / "new").read_text() == "of the failed release"
    store.forget_aside(APP, [volume(data)])
    assert [path.name for path in data.parent.iterdir()] == ["_data"]


@pytest.mark.root
@pytest.mark.usefixtures("as_root")
def test_owners_devices_capabilities_and_acls_survive(data: Path, tmp_path: Path) -> None:
    (data / "file").write_text("f")
    os.chown(data / "file", 70, 3_000_000)
    (data / "file").chmod(0o6755)
    os.mknod(data / "null", 0o20666, os.makedev(1, 3))
    subprocess.run(["cp", "/bin/true", data / "tool"], check=True)
    subprocess.run(["setcap", "cap_net_bind_service+ep", data / "tool"], check=True)
    subprocess.run(["setfacl", "-m", "u:12345:r", data / "file"], check=True)
    subprocess.run(["setfacl", "-d", "-m", "g:54321:rx", data], check=True)
    os.chown(data, 999, 999)
    data.chmod(0o700)
    before = entries(data)
    assert "security.capability" in str(before)
    assert "posix_acl_default" in str(before)
    store = FolderSnapshots(tmp_path)
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    store.restore(APP, [volume(data)], "op")
    assert entries(data) == before


def test_gnu_tar_reads_the_archive_without_us(data: Path, tmp_path: Path) -> None:
    make_everything(data)
    archive.write(data, tmp_path / "a.tar", tmp_path / "a.jsonl")
    out = tmp_path / "out"
    out.mkdir()
    flags = ["--xattrs", "--xattrs-include=*", "--acls", "-p", "--numeric-owner"]
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", out, *flags], check=True)
    assert entries(out) == entries(data)


names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(os.fsencode(name)) < 200
)
nodes = st.dictionaries(
    names, st.tuples(st.binary(max_size=200), st.integers(0o400, 0o777), st.integers(0, 2**33 * 10**9)), max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=nodes, inner=nodes)
def test_any_tree_survives(
    content: dict[str, Any], inner: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("any")
    data = home / "vol" / "_data"
    (data / "folder").mkdir(parents=True)
    for root, files in ((data, content), (data / "folder", inner)):
        for name, (body, mode, when) in files.items():
            if (root / name).exists():
                continue
            (root / name).write_bytes(body)
            (root / name).chmod(mode)
            os.utime(root / name, ns=(when, when))
    before = entries(data)
    store = FolderSnapshots(home)
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    (data / "folder" / "changed meanwhile").write_text("x")
    store.restore(APP, [volume(data)], "op")
    assert entries(data) == before


def test_sockets_are_listed_and_not_archived(data: Path, tmp_path: Path) -> None:
    os.chdir(data)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        done = FolderSnapshots(tmp_path).create(manifest(), [volume(data)], before_exchange=nothing)
    os.chdir("/")
    assert done.volumes[0].sockets == ("sock",)
    assert done.volumes[0].empty


def test_the_old_snapshot_stays_until_the_new_one_is_whole(data: Path, tmp_path: Path) -> None:
    (data / "f").write_text("one")
    store = FolderSnapshots(tmp_path)
    store.create(manifest("one"), [volume(data)], before_exchange=nothing)
    (tmp_path / APP / "last_good").write_text("sibling")
    bad = VolumeObs(name="nfs", driver="nfs", options={"o": "addr"}, labels={}, path="")
    with pytest.raises(ActError):
        store.create(manifest("two"), [volume(data), bad], before_exchange=nothing)
    found = store.observe(APP)
    assert found is not None
    assert found.id == "one"
    assert store.verify(APP) == ()
    store.create(manifest("three"), [volume(data)], before_exchange=nothing)
    assert sorted(path.name for path in (tmp_path / APP).iterdir()) == ["last_good", "snapshot"]


@pytest.mark.parametrize("part", ["volumes/data.tar", "volumes/data.entries.jsonl"])
def test_a_damaged_snapshot_is_never_restored(data: Path, tmp_path: Path, part: str) -> None:
    (data / "f").write_text("precious" * 100)
    store = FolderSnapshots(tmp_path)
    store.create(manifest(), [volume(data)], before_exchange=nothing)
    path = store.folder(APP) / part
    raw = bytearray(path.read_bytes())
    at = raw.find(b"precious") if part.endswith("tar") else len(raw) // 2
    raw[at] ^= 1
    path.write_bytes(raw)
    assert store.verify(APP) != ()
    (data / "f").write_text("failed")
    with pytest.raises((StateError, ActError)):
        store.restore(APP, [volume(data)], "op")
    assert (data / "f").read_text() == "failed"
    assert [p.name for p in data.parent.iterdir()] == ["_data"]


ROOT = {"path": ".", "type": "dir", "mode": 0o755, "uid": os.getuid(), "gid": os.getgid(), "mtime_ns": 0}


def bad(path: str, **more: object) -> dict[str, object]:
    return {**ROOT, "path": path, "type": "file", "offset": 0, "size": 4, **more}


LINK = {**ROOT, "path": "l", "type": "symlink", "target": "OUT"}
HOSTILE: dict[str, list[dict[str, object]]] = {
    "dotdot": [ROOT, bad("../evil")],
    "absolute": [ROOT, bad("/tmp/evil")],
    "below a symlink": [ROOT, LINK, bad("l/evil")],
    "hard link outside": [ROOT, bad("h", type="hardlink", target="../canary")],
    "hard link through a symlink": [ROOT, LINK, bad("h", type="hardlink", target="l/canary")],
    "no root": [{**ROOT, "path": "x"}],
    "root is a link": [{**LINK, "path": "."}],
    "twice": [ROOT, {**LINK, "path": "x"}, bad("x")],
    "NUL": [ROOT, bad("a\0b")],
    "unknown type": [ROOT, bad("x", type="socket")],
    "data outside the archive": [ROOT, bad("x", offset=10_000)],
    "extent outside the file": [ROOT, bad("x", extents=[[0, 9]])],
    "empty part": [ROOT, bad("a//b")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_index_writes_nothing_outside(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    (tmp_path / "canary").write_text("alive")
    (tmp_path / "a.tar").write_bytes(b"evil")
    target = tmp_path / "target"
    target.mkdir()
    lines = json.dumps(HOSTILE[name]).replace("OUT", str(outside))
    with pytest.raises((StateError, ActError, OSError)):
        unpack.unpack(tmp_path / "a.tar", [tree.Entry.from_json(entry) for entry in json.loads(lines)], target)
    assert (outside / "canary").read_text() == (tmp_path / "canary").read_text() == "alive"
    assert (outside / "canary").stat().st_nlink == 1
    assert sorted(p.name for p in outside.iterdir()) == ["canary"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "canary", "outside", "target"]


def test_a_full_disk_leaves_no_half_snapshot(tmp_path: Path, data: Path, as_root: None) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small], check=True)
    try:
        (data / "big").write_bytes(os.urandom(3 << 20))
        with pytest.raises(ActError, match="No space left"):
            FolderSnapshots(small).create(manifest(), [volume(data)], before_exchange=nothing)
        assert [path.name for path in (small / APP).iterdir()] == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_file_that_changes_meanwhile_fails_the_snapshot(data: Path, tmp_path: Path) -> None:
    (data / "f").write_bytes(b"x" * 200_000)
    visits = list(tree.walk(data))
    del visits
    original = members.copy_range

    def meddle(
        source: int, target: int, source_at: int, target_at: int, length: int, reach: content.Reach = content.unheard
    ) -> None:
        original(source, target, source_at, target_at, length, reach)
        with (data / "f").open("ab") as file:
            file.write(b"more")

    members.copy_range = meddle
    try:
        with pytest.raises(ActError, match="a process still writes"):
            archive.write(data, tmp_path / "a.tar", tmp_path / "a.jsonl")
    finally:
        members.copy_range = original
