"""Who may ask for what: hashed tokens, roles, names of this host, sessions of browsers. Effects: reads one file.

Nothing that a browser sends by itself is enough to change something: a session's form carries a word of its own, and
the API takes no cookies.
"""

import hashlib
import hmac
import re
import secrets
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.model.errors import Problem, SpecError

_LINE = re.compile(r"([a-z0-9][a-z0-9_.-]{0,62}) (read|ci|operate) ([0-9a-f]{64})", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
TOKEN_BYTES = 32
_SESSION_S = 12 * 3600.0
_SESSIONS = 1000


class Role(StrEnum):
    """What a token is good for. `ci` reads and asks for looks and tests; `operate` also decides."""

    READ = "read"
    CI = "ci"
    OPERATE = "operate"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever asks. `name`: of the token; it goes on record."""

    name: str
    role: Role


ANYBODY = Caller(name="", role=Role.READ)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser that has shown a token. `word`: what its forms must carry."""

    caller: Caller
    word: str
    ends: float


def make_token(name: str, role: Role) -> tuple[str, str]:
    """A new token, and the line of the file that lets it in."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, f"{name} {role} {_hash(token)}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def read_tokens(path: Path, *, kept_by_systemd: bool = False) -> Mapping[str, Caller]:
    """Hash -> who that is. `kept_by_systemd`: it is a credential, which systemd shows to the unit's user by an ACL.

    Raises:
        SpecError: the file is not there, others may read it, or a line in it is none of ours; all at once.
    """
    try:
        found, text = path.stat(), path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise SpecError([Problem(file=str(path), line=0, key="web.tokens", message=f"cannot be read: {exc}")]) from exc
    problems = []
    # The mask of an ACL stands where a group's rights do, so that the mode of a credential says nothing.
    if not kept_by_systemd and stat.S_IMODE(found.st_mode) & 0o077:
        problems.append(Problem(file=str(path), line=0, key="web.tokens", message="others can read it; chmod 600"))
    callers: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fits = _LINE.fullmatch(line.strip())
        if fits is None:
            why = "is not `NAME read|ci|operate SHA256`; ci-warm web-token makes one"
            problems.append(Problem(file=str(path), line=number, key="web.tokens", message=why))
        else:
            callers[fits[3]] = Caller(name=fits[1], role=Role(fits[2]))
    if problems:
        raise SpecError(problems)
    return callers


class Access:
    """Judges one request after the other. `tokens` None: there is no file, and everything is read-only."""

    def __init__(
        self,
        tokens: Mapping[str, Caller] | None,
        hosts: Sequence[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tokens = tokens
        self._hosts = frozenset((*_LOOPBACK, *(host.lower() for host in hosts)))
        self._sessions: dict[str, Session] = {}
        self._now = now

    def is_ours(self, host: str) -> bool:
        """Say whether a `Host` header, or what an `Origin` names, is this host: no page of another may ask."""
        return re.sub(r":\d{1,5}$", "", host.lower()) in self._hosts

    def find_caller(self, authorization: str) -> Caller | None:
        """Who shows this `Authorization` header; None: nobody that we know."""
        if self.tokens is None:
            return ANYBODY
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        shown = _hash(token.strip())
        # Each is compared, and in constant time: how long it takes tells nothing of them.
        found = [caller for known, caller in self.tokens.items() if hmac.compare_digest(known, shown)]
        return found[0] if found else None

    def log_in(self, token: str) -> str | None:
        """Begin a session; its id, None: the token is none."""
        caller = self.find_caller(f"Bearer {token}") if self.tokens is not None else None
        if caller is None:
            return None
        self._forget_ended()
        name = secrets.token_urlsafe(TOKEN_BYTES)
        word = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions[name] = Session(caller=caller, word=word, ends=self._now() + _SESSION_S)
        return name

    def find_session(self, name: str) -> Session | None:
        """The session of a cookie; None: there is none, or it is over."""
        found = self._sessions.get(name)
        return found if found is not None and found.ends > self._now() else None

    def log_out(self, name: str) -> None:
        """End a session."""
        self._sessions.pop(name, None)

    def _forget_ended(self) -> None:
        now = self._now()
        kept = [(name, one) for name, one in self._sessions.items() if one.ends > now]
        self._sessions = dict(kept[-_SESSIONS + 1 :])
