"""Who signed a release: git's own check, with the operator's keys and nothing else. Effects: git, gpg, ssh-keygen.

Whatever cannot be checked is a problem, never a pass.
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.adapters import process
from reconciler.model.errors import ActError, RecipeError

_KINDS = rb"PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE|SSH SIGNATURE"
_MARK = re.compile(rb"^(?:gpgsig(?:-sha256)? )?-----BEGIN (" + _KINDS + rb")-----", re.M)
"""What git takes for the beginning of a signature; in a tag the last one counts, in a commit that of its header."""
_KEYS = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_NO_X509 = ("-c", "gpg.x509.program=false")
_MOST_BYTES = 1 << 20
_GPG_S = 30.0
_SHOWN = 200

Ask = Callable[..., process.Ran]
"""Runs git on the mirror: variables of the environment first, then the arguments."""


def find_problem(ask: Ask, commit: str, signers: Path, tag: str = "") -> str:
    """Why the signature of a tag, or of a commit if no tag is named, is none of these signers'; '' if it is one's."""
    try:
        keys = _read(signers)
        with tempfile.TemporaryDirectory(prefix="ci-warm-keys-") as home:
            # A home of its own: no key, no trust and no setting of whoever runs this may have a say.
            env = {"HOME": home, "GNUPGHOME": home, "GIT_CONFIG_GLOBAL": "/dev/null"}
            # Whatever the machine's own settings say: a key that is not in the file is not looked for.
            Path(home, "gpg.conf").write_text("no-auto-key-retrieve\n")
            found, signed = _read_object(ask, env, commit, tag)
            return signed or _verify(ask, env, found, keys, signers, is_tag=bool(tag))
    except (RecipeError, ActError, OSError) as exc:
        return f"its signature cannot be checked: {exc}"


def _read(signers: Path) -> bytes:
    try:
        with signers.open("rb") as file:
            keys = file.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise RecipeError(f"{signers}: {exc.strerror}") from exc
    if not keys.strip() or len(keys) > _MOST_BYTES:
        raise RecipeError(f"{signers}: holds no keys, or more than {_MOST_BYTES >> 20} MiB")
    return keys


def _read_object(ask: Ask, env: Mapping[str, str], commit: str, tag: str) -> tuple[tuple[str, bytes], str]:
    """Id and content of what must be signed, and what is wrong with it before its signature is looked at."""
    name = commit
    if tag:
        ran = ask(env, "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/tags/{tag}")
        name = ran.raw.decode().strip()
        if ran.code != 0:
            return ("", b""), f"tag {tag} is not in the repository any more"
    ran = ask(env, "cat-file", "tag" if tag else "commit", name)
    if ran.code != 0:
        return ("", b""), f"tag {tag} is no annotated tag" if tag else f"commit {commit[:12]} is gone"
    lines = ran.raw.partition(b"\n\n")[0].splitlines()
    head = dict(line.partition(b" ")[::2] for line in lines)
    # A signed tag that is offered under another name, or for another commit, is an old release dressed as a new one.
    if tag and (head.get(b"tag", b"").decode("utf-8", "replace") != tag or head.get(b"object", b"").decode() != commit):
        return ("", b""), f"tag {tag} was signed as {head.get(b'tag', b'?').decode('utf-8', 'replace')[:80]}"
    return (name, ran.raw), ""


def _verify(
    ask: Ask, env: Mapping[str, str], found: tuple[str, bytes], keys: bytes, signers: Path, *, is_tag: bool
) -> str:
    name, content = found
    marks = _MARK.findall(content if is_tag else content.partition(b"\n\n")[0])
    kind = marks[-1] if marks else b""
    if kind == b"SSH SIGNATURE":
        if _KEYS in keys:
            return f"it is signed with an SSH key, and {signers} holds GPG keys"
        options = ["-c", f"gpg.ssh.allowedSignersFile={signers}", "-c", "gpg.format=ssh"]
    elif kind == b"PGP SIGNATURE":
        if _KEYS not in keys:
            return f"it is signed with a GPG key, and {signers} holds no GPG keys"
        process.run(
            ["gpg", "--batch", "--quiet", "--no-autostart", "--homedir", env["HOME"], "--import", str(signers)],
            timeout_s=_GPG_S,
            env=env,
        )
        options = ["-c", "gpg.format=openpgp"]
    elif kind:
        return f"it is signed as no release may be ({kind.decode().lower()})"
    else:
        return "it is not signed"
    ran = ask(env, *options, *_NO_X509, "verify-tag" if is_tag else "verify-commit", "--raw", "--", name)
    if ran.code == 0:
        return ""
    said = [line for line in ran.output.splitlines() if line.strip()]
    return f"it is not signed by one of {signers}: {(said or ['no word of git'])[-1].strip()[:_SHOWN]}"
