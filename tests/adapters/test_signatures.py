"""Signatures of releases, by real keys of both kinds: only git, gpg and ssh-keygen decide."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.git import GitRecipes
from reconciler.model.settings import GitSettings
from tests.conftest import missing

ONE, TWO = "1.0.0+1.0.0", "1.1.0+1.1.0"
WHO = "maker@example.test"


@dataclass
class Forge:
    """A recipe that somebody signs, and the operator's mirror of it."""

    folder: Path
    home: Path
    recipes: GitRecipes

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *args: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        identity = {f"GIT_{who}_{what}": WHO for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        home = {"HOME": str(self.home), "GNUPGHOME": str(self.home)}
        full = {"PATH": os.environ["PATH"], **home, **identity, **(env or {})}
        argv = ["git", "-C", str(self.folder), *args]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True, env=full).stdout.strip()

    def commit(self, *options: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", "Release", *options)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, *options: str, key: str = "") -> None:
        signed = ["--sign", *(["--local-user", key] if key else [])] if options or key else ["--annotate"]
        self.git(*options, "tag", *signed, "--message", name, name)

    def problem(self, signers: Path, tag: str = ONE, commit: str = "") -> str:
        self.recipes.fetch(self.url)
        return self.recipes.find_signature_problem(self.url, commit or self.git("rev-parse", "HEAD"), signers, tag)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    for tool in ("ssh-keygen", "gpg"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed")
    folder, home = tmp_path / "recipe", tmp_path / "home"
    folder.mkdir()
    home.mkdir(mode=0o700)
    (tmp_path / "mirrors").mkdir()
    made = Forge(folder, home, GitRecipes(tmp_path / "mirrors", GitSettings(allow_file=True), SystemClock().monotonic))
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit()
    yield made
    for ring in (home, home / ".gnupg"):  # the agent that made the keys would live on
        subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)


def ssh_key(folder: Path, name: str) -> Path:
    path = folder / name
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", WHO, "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


def by_ssh(key: Path) -> tuple[str, ...]:
    return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}")


def allow(path: Path, *keys: Path, options: str = "") -> Path:
    """An allowed-signers file with these public keys."""
    lines = [f"{WHO} {options} {key.with_suffix('.pub').read_text()}" for key in keys]
    path.write_text("".join(lines) or "# nobody\n")
    return path


def gpg(home: Path, *args: str, stdin: str = "") -> str:
    argv = ["gpg", "--batch", "--quiet", "--homedir", str(home), *args]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout


def gpg_key(home: Path, who: str, *options: str, expires: str = "never") -> None:
    gpg(home, *options, "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", expires)


def test_a_tag_by_an_allowed_ssh_key_counts(forge: Forge, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "good")
    forge.tag(ONE, *by_ssh(key))
    assert forge.problem(allow(tmp_path / "signers", key)) == ""


def test_one_by_another_key_or_by_one_that_was_taken_out_since_does_not(forge: Forge, tmp_path: Path) -> None:
    key, other = ssh_key(tmp_path, "good"), ssh_key(tmp_path, "other")
    forge.tag(ONE, *by_ssh(key))
    signers = allow(tmp_path / "signers", key, other)
    assert forge.problem(signers) == ""
    allow(signers, other)
    assert "is not signed by one of" in forge.problem(signers)
    allow(signers)
    assert "is not signed by one of" in forge.problem(signers)


def test_a_key_that_was_out_of_date_when_it_signed_does_not(forge: Forge, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "good")
    forge.tag(ONE, *by_ssh(key))
    signers = allow(tmp_path / "signers", key, options='valid-before="20200101"')
    assert "is not signed by one of" in forge.problem(signers)


def test_what_is_not_signed_does_not(forge: Forge, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "good")
    signers = allow(tmp_path / "signers", key)
    forge.tag(ONE)
    assert forge.problem(signers) == "it is not signed"
    forge.git("tag", TWO)
    assert forge.problem(signers, TWO) == f"tag {TWO} is no annotated tag"
    assert forge.problem(signers, "9.9.9+9.9.9") == "tag 9.9.9+9.9.9 is not in the repository any more"


def test_a_signature_that_was_carried_over_from_another_tag_does_not(forge: Forge, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "good")
    forge.tag(ONE, *by_ssh(key))
    signed = forge.git("cat-file", "tag", ONE)
    forged = forge.git("mktag", stdin=signed.replace(ONE, TWO) + "\n")
    forge.git("update-ref", f"refs/tags/{TWO}", forged)
    assert "is not signed by one of" in forge.problem(allow(tmp_path / "signers", key), TWO)


def test_an_old_release_under_a_new_name_does_not(forge: Forge, tmp_path: Path) -> None:
    """Its signature is good: only the name in it tells."""
    key = ssh_key(tmp_path, "good")
    forge.tag(ONE, *by_ssh(key))
    forge.git("update-ref", f"refs/tags/{TWO}", forge.git("rev-parse", f"refs/tags/{ONE}"))
    signers = allow(tmp_path / "signers", key)
    assert forge.problem(signers, TWO) == f"tag {TWO} was signed as {ONE}"
    assert forge.problem(signers, ONE, forge.commit()) == f"tag {ONE} was signed as {ONE}"


def test_gpg_keys_in_the_file_are_the_only_ones_that_count(forge: Forge, tmp_path: Path) -> None:
    gpg_key(forge.home, "good@example.test")
    gpg_key(forge.home, "other@example.test")
    signers = tmp_path / "signers.asc"
    signers.write_text(gpg(forge.home, "--armor", "--export", "good@example.test"))
    forge.tag(ONE, key="good@example.test")
    assert forge.problem(signers) == ""
    forge.tag(TWO, key="other@example.test")
    assert "is not signed by one of" in forge.problem(signers, TWO)


def test_an_expired_gpg_key_does_not(forge: Forge, tmp_path: Path) -> None:
    gpg_key(forge.home, "old@example.test", "--faked-system-time", "20200101T000000", expires="1d")
    wrapper = tmp_path / "gpg-of-then"
    wrapper.write_text('#!/bin/sh\nexec gpg --faked-system-time 20200101T010000 "$@"\n')
    wrapper.chmod(0o755)
    forge.tag(ONE, "-c", f"gpg.program={wrapper}", "-c", "user.signingkey=old@example.test")
    signers = tmp_path / "signers.asc"
    signers.write_text(gpg(forge.home, "--armor", "--export", "old@example.test"))
    assert "is not signed by one of" in forge.problem(signers)


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_keys_of_the_other_kind_are_told_as_such(forge: Forge, tmp_path: Path, kind: str) -> None:
    key = ssh_key(tmp_path, "good")
    gpg_key(forge.home, "good@example.test")
    signers = tmp_path / "signers"
    if kind == "ssh":
        forge.tag(ONE, *by_ssh(key))
        signers.write_text(gpg(forge.home, "--armor", "--export", "good@example.test"))
        assert forge.problem(signers) == f"it is signed with an SSH key, and {signers} holds GPG keys"
    else:
        forge.tag(ONE, key="good@example.test")
        allow(signers, key)
        assert forge.problem(signers) == f"it is signed with a GPG key, and {signers} holds no GPG keys"


def test_a_signers_file_that_cannot_be_read_lets_nothing_through(forge: Forge, tmp_path: Path) -> None:
    forge.tag(ONE, *by_ssh(ssh_key(tmp_path, "good")))
    gone, empty = tmp_path / "gone", tmp_path / "empty"
    empty.touch()
    assert forge.problem(gone) == f"its signature cannot be checked: {gone}: No such file or directory"
    assert "holds no keys" in forge.problem(empty)


def test_nothing_of_whoever_runs_it_has_a_say(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the user's git, and a key ring of the user, that would let it pass."""
    forge.tag(ONE, *by_ssh(ssh_key(tmp_path, "stranger")))
    gullible = tmp_path / "gullible"
    gullible.write_text(f"#!/bin/sh\necho 'Good \"git\" signature for {WHO} with ED25519 key SHA256:x'\n")
    gullible.chmod(0o755)
    (forge.home / ".gitconfig").write_text(f'[gpg "ssh"]\n\tprogram = {gullible}\n')
    monkeypatch.setenv("HOME", str(forge.home))
    assert "is not signed by one of" in forge.problem(allow(tmp_path / "signers", ssh_key(tmp_path, "good")))
    ring = forge.home / ".gnupg"
    ring.mkdir(mode=0o700)
    gpg_key(ring, "stranger@example.test")
    gpg_key(forge.home, "good@example.test")
    signers = tmp_path / "signers.asc"
    signers.write_text(gpg(forge.home, "--armor", "--export", "good@example.test"))
    (forge.home / ".gitconfig").unlink()
    forge.git(
        "tag", "--sign", "--local-user", "stranger@example.test", "--message", TWO, TWO, env={"GNUPGHOME": str(ring)}
    )
    assert "is not signed by one of" in forge.problem(signers, TWO)


def test_a_commit_may_be_signed_itself(forge: Forge, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "good")
    signers = allow(tmp_path / "signers", key)
    plain = forge.commit()
    forge.git(*by_ssh(key), "commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", "signed")
    signed = forge.git("rev-parse", "HEAD")
    assert forge.problem(signers, "", signed) == ""
    assert forge.problem(signers, "", plain) == "it is not signed"


def test_a_signature_of_another_kind_behind_one_of_ours_does_not(forge: Forge, tmp_path: Path) -> None:
    """Git goes by the last one: what is checked must be what it checks."""
    gpg_key(forge.home, "good@example.test")
    signers = tmp_path / "signers.asc"
    signers.write_text(gpg(forge.home, "--armor", "--export", "good@example.test"))
    forge.tag(ONE, key="good@example.test")
    content = (
        forge.git("cat-file", "tag", ONE) + "\n-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n"
    )
    forge.git("update-ref", f"refs/tags/{ONE}", forge.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=content))
    assert forge.problem(signers) == "it is signed as no release may be (signed message)"
