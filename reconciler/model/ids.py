"""Names that must not be mixed up, and the one validator for names that become paths, labels and locks. Pure."""

import hashlib
import re
from typing import NewType

AppName = NewType("AppName", str)
StackName = NewType("StackName", str)
RunName = NewType("RunName", str)
"""A test run: `<recipe[:4]>-<6 hex>`; its stack and its pins go by it, not by an app."""
RealmName = NewType("RealmName", str)
"""A realm of the shared single sign-on: `<recipe>-<6 hex>`."""
OpId = NewType("OpId", str)

NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_REF = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+/-]{0,199}")
_TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}")


def is_name(text: str) -> bool:
    """Say whether `text` may name an app: used in paths, labels and locks (so no dots, slashes, newlines)."""
    return NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Say whether `text` may be used as a git tag operand and inside file names."""
    return _TAG.fullmatch(text) is not None and ".." not in text


def is_ref(text: str) -> bool:
    """Say whether `text` may name a branch, tag, commit or `refs/...`, and nothing that git takes for an option."""
    return _REF.fullmatch(text) is not None and ".." not in text and not text.endswith((".lock", "/", "."))


def stack_for(domain: str) -> StackName:
    """Derive the stack name from a domain the Co-op Cloud way: dots become underscores, cut at 45.

    45 keeps `<stack>_<secret>_<version>` below Docker's 64 characters.
    """
    return StackName(domain.replace(".", "_")[:45].rstrip("_-"))


HOST = AppName("host")
"""Whom alerts name that are of no app."""


def mirror_name(url: str) -> str:
    """Folder name of a mirror: readable, and unique by the digest of the URL."""
    stem = re.sub(r"[^a-z0-9]+", "-", url.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1].lower()).strip("-")
    return f"{stem or 'recipe'}-{hashlib.sha256(url.encode()).hexdigest()[:10]}.git"
