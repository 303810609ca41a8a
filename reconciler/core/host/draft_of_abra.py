"""The spec of an app that abra has on file, from the variables of its env file. Pure.

Called by `engine.operate.import_abra`. What the variables mean is Co-op Cloud's convention.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.core.host import draft_of_stack
from reconciler.core.release import render
from reconciler.model.draft import Doubt, Draft
from reconciler.model.ids import stack_for

_SECRET = re.compile(r"SECRET_([A-Z0-9_]+)_VERSION")
_OWN = frozenset({"TYPE", "RECIPE", "DOMAIN", "STACK_NAME"})
_CHARSETS = ("alnum", "hex")


@dataclass(frozen=True, kw_only=True)
class AbraApp:
    """`variables`: expanded. `comments`: what stands behind a value, by name."""

    variables: Mapping[str, str]
    comments: Mapping[str, str]

    @property
    def recipe(self) -> str:
        """The recipe's name, without the version that abra writes behind it; '' if there is none."""
        return self._type.partition(":")[0]

    @property
    def version(self) -> str:
        """The version that abra has it at; '' if it does not say one."""
        return self._type.partition(":")[2]

    @property
    def _type(self) -> str:
        return self.variables.get("TYPE") or self.variables.get("RECIPE") or ""

    @property
    def domain(self) -> str:
        """Its own domain; '' if there is none."""
        return self.variables.get("DOMAIN", "")

    @property
    def compose_files(self) -> list[str]:
        """The recipe's files that it is made of."""
        return render.compose_files(self.variables)


def draft(app: AbraApp, name: str, url: str, keeps_data: Callable[[AbraApp], bool | None]) -> Draft:
    """The spec of one app, and what cannot be taken over into it."""
    stack = app.variables.get("STACK_NAME", "")
    stateful = keeps_data(app)
    doubts = [*_doubt_version(app), *_doubt_stateful(stateful)]
    spec: dict[str, object] = {"name": name, "recipe": {"url": url}, "domain": app.domain}
    if stack and stack != stack_for(app.domain):
        spec["stack"] = stack
    spec["stateful"] = stateful is not False
    secrets, unclear = _secrets(app)
    env, left_out = _env(app)
    doubts += [*unclear, *left_out, *draft_of_stack.doubt_env(env)]
    page = "abra does not say how its page is asked; the default is https at its domain, status 200"
    doubts += [Doubt(key="", text=page)]
    spec |= {key: value for key, value in (("env", env), ("secrets", secrets)) if value}
    return Draft(name=name, spec=spec, doubts=tuple(doubts))


def _doubt_version(app: AbraApp) -> list[Doubt]:
    if not app.version:
        return []
    text = f"abra has it at {app.version}: adopted if that runs; releases after it are taken as `track` says"
    return [Doubt(key="recipe", text=text)]


def _doubt_stateful(stateful: bool | None) -> list[Doubt]:
    if stateful is not None:
        return []
    return [Doubt(key="stateful", text="the recipe is not here, so whether it keeps data is a guess; look")]


def _secrets(app: AbraApp) -> tuple[dict[str, object], list[Doubt]]:
    found, doubts = dict[str, object](), list[Doubt]()
    for variable, version in app.variables.items():
        named = _SECRET.fullmatch(variable)
        if named is None:
            continue
        name = named[1].lower()
        said = dict(part.partition("=")[::2] for part in app.comments.get(variable, "").split() if "=" in part)
        body: dict[str, object] = {"version": version}
        if said.get("length", "").isdigit():
            body["length"] = int(said["length"])
        charset = said.get("charset", "")
        if charset in _CHARSETS:
            body["charset"] = charset
        elif charset:
            doubts.append(Doubt(key="secrets", text=f"{name}: charset {charset} is not one of {', '.join(_CHARSETS)}"))
        if said.get("generate") == "false":
            text = f"{name}: is never generated; it must be in the Swarm already, or give its file"
            doubts.append(Doubt(key="secrets", text=text))
        found[name] = body
    return found, doubts


def _env(app: AbraApp) -> tuple[dict[str, str], list[Doubt]]:
    env, doubts = dict[str, str](), list[Doubt]()
    for name, value in app.variables.items():
        if name in _OWN or _SECRET.fullmatch(name):
            continue
        if name.endswith("_CMDS"):
            doubts.append(Doubt(key="", text=f"{name}: commands that abra runs around a deploy are not run here"))
        elif name == "ENABLE_AUTO_UPDATE":
            doubts.append(Doubt(key="", text=f"{name}: releases are taken by themselves; upgrade.suspend holds them"))
        elif name != "COMPOSE_FILE" or app.compose_files != ["compose.yml"]:
            env[name] = value
    return env, doubts
