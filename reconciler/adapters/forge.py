"""Comments and commit statuses of a forge. Effects: its API, which Forgejo, Gitea and GitHub have in common so far."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from typing_extensions import override

from reconciler.model.errors import ObserveError
from reconciler.model.forge import CommitStatus
from reconciler.model.request import ForgePlace
from reconciler.model.settings import ForgeSettings
from reconciler.ports.forge import Forge

_TIMEOUT_S = 20
_GONE = 404
_TEXT = 140
"""As long as GitHub lets the description of a status be."""


class ForgeApi(Forge):
    """One forge, asked with a token that is read each time, for it may be renewed while we run."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        self._base = settings.url.rstrip("/") + ("" if settings.kind == "github" else "/api/v1")

    @override
    def comment(self, place: ForgePlace, text: str, known: int | None) -> int:
        issues = f"/repos/{place.repository}/issues"
        if known is not None:
            edited = self._ask("PATCH", f"{issues}/comments/{known}", {"body": text}, may_be_gone=True)
            if edited is not None:
                return known
        made = self._ask("POST", f"{issues}/{place.number}/comments", {"body": text})
        found = made.get("id") if isinstance(made, dict) else None
        if not isinstance(found, int):
            raise ObserveError(f"{self._settings.url}: the answer to a new comment has no id")
        return found

    @override
    def set_status(self, place: ForgePlace, status: CommitStatus) -> None:
        body = {"state": status.state, "context": status.context, "description": status.text[:_TEXT]}
        link = {"target_url": status.link} if status.link else {}
        self._ask("POST", f"/repos/{place.repository}/statuses/{status.commit}", body | link)

    @override
    def is_member(self, team: str, login: str) -> bool:
        organisation, _, name = (quote(part, safe="") for part in team.partition("/"))
        user = quote(login, safe="")
        if self._settings.kind == "github":
            found = self._ask("GET", f"/orgs/{organisation}/teams/{name}/memberships/{user}", may_be_gone=True)
            return isinstance(found, dict) and found.get("state") == "active"
        return any(
            self._ask("GET", f"/teams/{number}/members/{user}", may_be_gone=True) is not None
            for number in self._find_teams(team)
        )

    def _find_teams(self, team: str) -> list[int]:
        """The numbers of teams of exactly that name; a search finds parts of names, too."""
        organisation, _, name = team.partition("/")
        path = f"/orgs/{quote(organisation, safe='')}/teams/search?q={quote(name, safe='')}&limit=50"
        found = self._ask("GET", path, may_be_gone=True)
        if found is None:
            return []  # there is no such organisation, or the token's user may not see it
        rows = found.get("data") if isinstance(found, dict) else None
        if not isinstance(rows, list):
            raise ObserveError(f"{self._settings.url}: the answer to a search for teams has no data")
        exact = [row for row in rows if isinstance(row, dict) and str(row.get("name")).lower() == name.lower()]
        return [row["id"] for row in exact if isinstance(row.get("id"), int)]

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None, *, may_be_gone: bool = False) -> Any:
        """The document of the answer; None: what was asked about is gone."""
        try:
            token = Path(self._settings.token).read_text().strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ObserveError(f"forge.token: {self._settings.token}: {exc}") from exc
        headers = {"Authorization": f"{'Bearer' if self._settings.kind == 'github' else 'token'} {token}"}
        try:
            # A redirect may lead to another host; the token must not go there.
            answer = requests.request(
                method, self._base + path, json=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False
            )
            if may_be_gone and answer.status_code == _GONE:
                return None
            if not answer.ok or answer.is_redirect:
                raise ObserveError(f"{self._base}{path}: {answer.status_code} {answer.reason}")
            return answer.json() if answer.content else {}
        except (requests.RequestException, ValueError) as exc:
            raise ObserveError(f"{self._base}{path}: {exc}") from exc
