"""A recipe at one commit plus a spec become one compose document, then a bundle with pinned images. Pure.

Called by `engine.release.render`. The bundle is everything a deploy needs: no git, no network, no host file.
"""

import base64
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.release import casts, compose, forms, interpolate, merge, refusals
from reconciler.core.release.digest import digest
from reconciler.model.app import AppSpec
from reconciler.model.base import Json
from reconciler.model.observed import StackObs
from reconciler.model.recipe import Rendered
from reconciler.model.release import Bundle

LABEL_APP = "ci-warm.app"
LABEL_VERSION = "ci-warm.version"
LABEL_COMMIT = "ci-warm.commit"
LABEL_BUNDLE = "ci-warm.bundle"
LABEL_SCALED = "ci-warm.scaled"
"""On services whose number of replicas is not ours to judge (`drift.ignore`)."""
MAX_NAME = 63  # of configs; Docker's limit is 64
MAX_ENV = 1 << 20  # characters
_BEFORE_NAMES = ("3.0", "3.1", "3.2", "3.3", "3.4")
"""Versions of the compose format in which configs have no names of their own."""
_MAKES_ANOTHER = ("driver", "driver_opts", "labels", "template_driver")

Parse = Callable[[bytes, str], Mapping[str, object]]


def desired_digest(spec: AppSpec, overlays: Mapping[str, bytes]) -> str:
    """Digest of the settings that the rendered document depends on: when it changes, the app is out of sync."""
    return digest(
        {
            "stack": spec.stack_name,
            "domain": spec.domain,
            "env": spec.env,
            "secrets": {name: secret.version for name, secret in spec.secrets.items()},
            "overlays": {name: digest(body.decode("utf-8", "replace")) for name, body in overlays.items()},
            # Only where it is set: the digest of all other specs stays what it was.
            **({"drift": spec.drift.ignore} if spec.drift.ignore else {}),
        }
    )


def environment(spec: AppSpec, sample: Iterable[tuple[str, str]], exports: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Variables for interpolation: `.env.sample`, then `abra.sh` exports, but for what the spec says or we know.

    `sample`, `exports`: names and values in the order of their lines, where one name may come more than once and
    build on what it was (`COMPOSE_FILE="$COMPOSE_FILE:compose.more.yml"`).

    Raises:
        InterpolationError: a value does not parse, or all together are too long.
    """
    versions = {f"SECRET_{name.upper()}_VERSION": secret.version for name, secret in spec.secrets.items()}
    # These win over whatever the recipe's files say: a sample must not move an app to another stack or
    # domain.
    given = {**spec.env, **versions, "STACK_NAME": spec.stack_name, "DOMAIN": spec.domain}
    env = dict(given)
    total = sum(map(len, env.values()))
    for name, value in (*sample, *exports):
        if name not in given:
            text = interpolate.env_value(value, env)
            total += len(text) - len(env.get(name, ""))
            # Each line may use the one before twice, so a short file could grow without end.
            if total > MAX_ENV:
                raise interpolate.InterpolationError("the variables expand to more than 1 MiB")
            env[name] = text
    return env


def compose_files(env: Mapping[str, str]) -> list[str]:
    """The files that `COMPOSE_FILE` lays over each other, without empty and doubled ones."""
    names = (env.get("COMPOSE_FILE") or "compose.yml").split(":")
    return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, kw_only=True)
class RecipeContent:
    """A recipe at one commit: its files by path, and what is laid over it, by name, in order."""

    version: str
    commit: str
    files: Mapping[str, bytes]
    overlays: Mapping[str, bytes]


def render(spec: AppSpec, content: RecipeContent, env: Mapping[str, str], parse: Parse) -> Rendered:
    """Merge the recipe's compose files and the spec's overlays and read off what the gate needs.

    Raises:
        ComposeError, InterpolationError: the recipe or an overlay cannot be used.
    """
    version, files = content.version, content.files
    documents, places = [], dict[str, str]()
    for name in compose_files(env):
        if name not in files:
            raise compose.ComposeError(f"{name}: is not in the recipe at {version}")
        documents.append(_document(parse(files[name], name), env))
        refusals.note_places(places, documents[-1], name)
    doc = merge.merge(documents)
    base = compose.images(doc)
    for name, body in content.overlays.items():
        over = _document(parse(body, name), env)
        refusals.note_places(places, over, name)
        doc = merge.merge([doc, over])
        # What was tested and gated is the recipe's release; an overlay that brings other images would be
        # something else.
        if compose.images(doc) != base:
            raise compose.ComposeError(f"overlay {name}: an overlay may not change images or the set of services")
    refusals.check_health(doc, spec.health)
    doc = forms.drop_unset(doc)
    foreign = compose.foreign(doc, spec.stack_name)
    found = _take_files(doc, files, spec.stack_name)
    if doc.get("version") in _BEFORE_NAMES:
        doc["version"] = "3.8"  # nothing valid before is invalid since
    compose.check_sources(doc)
    names, external, options = compose.volume_names(doc, spec.stack_name)
    return Rendered(
        version=version,
        commit=content.commit,
        doc=doc,
        files=found,
        images=base,
        volumes=names,
        external_volumes=external,
        volume_options=options,
        secrets=list_external(doc, "secrets"),
        networks=tuple(list_external(doc, "networks").values()),
        configs=tuple(list_external(doc, "configs").values()),
        policy=(*compose.policy(doc), *foreign),
        places=places,
    )


def _document(raw: Mapping[str, object], env: Mapping[str, str]) -> Json:
    result = casts.tree(raw, env)
    if not isinstance(result, dict):
        raise compose.ComposeError("must be a mapping")
    # In each file before it is laid over another: what it fills in may replace what the other says.
    return forms.fill_environment(forms.normalize(result), env)


def _take_files(doc: Json, files: Mapping[str, bytes], stack: str) -> dict[str, str]:
    """Collect the recipe files that configs and secrets name; give each config a name that says what it is."""
    taken: dict[str, str] = {}
    for section in ("configs", "secrets"):
        for key, body in compose.section(doc, section).items():
            if body.get("external") or not ("file" in body or body.get("driver")):
                continue
            content = ""
            if "file" in body:
                # Looked up among the recipe's files and never opened: `../../etc/shadow` is just a name that is
                # not there.
                path = posixpath.normpath(str(body["file"]))
                if path not in files:
                    raise compose.ComposeError(f"{section}.{key}.file: {body['file']} is not in the recipe")
                content = base64.b64encode(files[path]).decode()
                body["file"] = f"{section}-{digest(content)[:16]}"
                taken[body["file"]] = content
            # Configs are immutable to the engine: a name that follows all that makes one never collides.
            stem = str(body.get("name") or f"{stack}_{key}")
            body["name"] = f"{stem[: MAX_NAME - 9]}_{_identity(content, body)}"
    for name, service in compose.services(doc).items():
        if "env_file" in service:
            raise compose.ComposeError(f"services.{name}.env_file: is not supported; use environment")
        service.pop("build", None)  # a stack never builds; the image line is what counts
        if "extends" in service:
            raise compose.ComposeError(f"services.{name}.extends: is not supported in a stack")
    return taken


def _identity(content: str, body: Json) -> str:
    """What makes a config or secret another one. The content alone where that is all: names that stand stay."""
    more = {key: body[key] for key in _MAKES_ANOTHER if body.get(key)}
    return digest([content, more] if more else content)[8:16]


def list_external(doc: Mapping[str, object], section: str) -> dict[str, str]:
    """Key -> engine name of what the document expects to find on the engine."""
    section_of = compose.section(doc, section)
    return {key: compose.engine_name(key, body, "") for key, body in section_of.items() if body.get("external")}


def bundle(
    spec: AppSpec,
    rendered: Rendered,
    pinned: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    monitor_s: float | None = None,
) -> Bundle:
    """Fix the images and put our labels on every service. `pinned`: image as asked -> pinned; `labels`: more.

    `monitor_s`: how long the engine watches an update where the recipe says nothing; None: as long as it likes.
    """
    doc = _deep(rendered.doc)
    # Pinned before the digest is taken: a tag that moves later makes another bundle, never another content of
    # this one.
    images = {name: pinned[asked] for name, asked in rendered.images.items()}
    for name, service in doc["services"].items():
        service["image"] = images[name]
        deploy = service.setdefault("deploy", {}) or {}
        service["deploy"] = deploy
        own = deploy.setdefault("labels", {}) or {}
        deploy["labels"] = (
            own
            | dict(labels or {})
            | ({LABEL_SCALED: "true"} if "replicas" in spec.drift.ignore else {})
            | {
                LABEL_APP: spec.name,
                LABEL_VERSION: rendered.version,
                LABEL_COMMIT: rendered.commit,
            }
        )
        # A silent rollback would report success on the old version: pause instead, and we decide.
        if not str(deploy.get("mode", "")).endswith("-job"):  # jobs may not have an update config
            shorter = {} if monitor_s is None else {"monitor": f"{monitor_s * 1000:.0f}ms"}
            order = _order(service, deploy, stateful=spec.stateful)
            deploy["update_config"] = (
                shorter | (deploy.get("update_config") or {}) | order | {"failure_action": "pause"}
            )
    for section in ("configs", "volumes", "networks", "secrets"):
        for body in doc.get(section, {}).values():
            if not body.get("external"):
                body["labels"] = (body.get("labels") or {}) | {LABEL_APP: spec.name}
    fields: Json = {
        "domain": spec.domain,
        "health": spec.health.model_dump(mode="json"),
        "app": spec.name,
        "stack": str(spec.stack_name),
        "version": rendered.version,
        "commit": rendered.commit,
        "doc": doc,
        "files": dict(rendered.files),
        "asked": dict(rendered.images),
        "images": images,
        "volumes": dict(rendered.volumes),
        "external_volumes": rendered.external_volumes,
        "secrets": dict(rendered.secrets),
    }
    return Bundle(id=digest(fields), **fields)


def _order(service: Json, deploy: Json, *, stateful: bool) -> dict[str, str]:
    """Stop first where the new task needs what the old one has: a port of the node, or the data, alone (I5)."""
    starts_first = (deploy.get("update_config") or {}).get("order") == "start-first"
    takes_port = any(isinstance(p, Mapping) and p.get("mode") == "host" for p in service.get("ports") or ())
    writes = stateful and any(mount.kind == "volume" and mount.source for mount in compose.list_mounts(service))
    return {"order": "stop-first"} if starts_first and (takes_port or writes) else {}


def is_intact(found: Bundle) -> bool:
    """Say whether a bundle's id is the digest of its content."""
    fields = found.model_dump(mode="python", exclude={"id", "schema_version"})
    return digest(fields) == found.id


def add_labels(found: Bundle) -> Json:
    """The document as it goes to the engine: every service carries the bundle's id, which settle looks for."""
    doc = _deep(found.doc)
    for service in doc["services"].values():
        # Added only here: the id is the digest of the document, so it cannot be in it.
        service["deploy"]["labels"][LABEL_BUNDLE] = found.id
    return doc


def _deep(value: object) -> Json:
    copied = _copy(value)
    if not isinstance(copied, dict):  # a document is a mapping by construction (`compose.merge`)
        raise TypeError("not a document")
    return copied


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value


def missing_volumes(origin: Sequence[str], target: Mapping[str, str]) -> list[str]:
    """Volumes of the running recipe that the new one does not mount: data would be left behind."""
    return sorted(set(origin) - set(target.values()))


def running_version(stack: StackObs, stack_name: str) -> str | None:
    """The version that runs, by its labels: ours, else the recipe's own; None if none or not one."""
    for label in (LABEL_VERSION, f"coop-cloud.{stack_name}.version"):
        found = {service.labels[label] for service in stack.services if label in service.labels}
        if len(found) == 1:
            return found.pop()
    return None
