"""What a run needs to log in to its realm. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a run needs to log in. `issuer` as its tokens say it; `username` is a user with a password grant."""

    realm: str
    issuer: str
    discovery: str
    client_id: str
    client_secret: str
    username: str
    password: str
