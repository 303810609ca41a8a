"""The shapes of a stack's compose document, for hosts whose docker CLI cannot be asked (`docker stack config`). Pure.

Own checks of what the deploy tool's loader refuses: keys that do not exist, types, durations, sizes. Called by
`refusals` only where the tool does not answer. Laxer than the tool where in doubt: a release that Docker would take
must never be held.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Problem = tuple[str, str]
"""Where, and what is wrong, in the deploy tool's words."""
Check = Callable[[object, str], Iterator[Problem]]

_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_SIZE = re.compile(r"\d+(\.\d+)? ?[kmgtp]?i?b?", re.IGNORECASE)


def find_problems(doc: Mapping[str, object]) -> Iterator[Problem]:
    """Everything in the document that has no shape that the deploy tool knows."""
    return _DOCUMENT(doc, "")


def _type(name: str, *kinds: type) -> Check:
    def check(value: object, at: str) -> Iterator[Problem]:
        # bool is an int to Python, and is none to the tool.
        fits = isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)
        if value is not None and not fits:
            yield at, f"must be a {name}"

    return check


def _text_like(pattern: re.Pattern[str], fails: str) -> Check:
    def check(value: object, at: str) -> Iterator[Problem]:
        yield from _STRING(value, at)
        if isinstance(value, str) and not pattern.fullmatch(value):
            yield at, fails

    return check


def _list(item: Check) -> Check:
    def check(value: object, at: str) -> Iterator[Problem]:
        if value is not None and not isinstance(value, list):
            yield at, "must be a list"
        for index, one in enumerate(value if isinstance(value, list) else ()):
            yield from item(one, f"{at}.{index}")

    return check


def _one_of(*kinds: tuple[type, Check], says: str) -> Check:
    def check(value: object, at: str) -> Iterator[Problem]:
        if value is None:
            return
        for kind, inner in kinds:
            if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
                yield from inner(value, at)
                return
        yield at, f"must be a {says}"

    return check


@dataclass(frozen=True)
class _Mapping:
    """A mapping with these keys and no other; `rest`: of any other key, None: there is none."""

    keys: Mapping[str, Check]
    rest: Check | None = None

    def __call__(self, value: object, at: str) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, Mapping):
            yield at, "must be a mapping"
            return
        for key, inner in value.items():
            check = self.keys.get(str(key), self.rest)
            where = f"{at}.{key}" if at else str(key)
            if check is not None:
                yield from check(inner, where)
            elif not str(key).startswith("x-"):
                yield at or "(root)", f"Additional property {key} is not allowed"


_STRING = _type("string", str)
_INTEGER = _type("integer", int)
_NUMBER = _type("number", int, float)
_BOOLEAN = _type("boolean", bool)
_DURATION_TEXT = _text_like(_DURATION, "Does not match format 'duration'")
_SIZE_TEXT = _text_like(_SIZE, "invalid size")
_ANY: Check = lambda value, at: iter(())  # noqa: E731, ARG005 - a check like the others
_STRINGS = _list(_STRING)
_TEXTS = _one_of((str, _STRING), (list, _STRINGS), says="string or list")
_SCALAR = _type("string, number or null", str, int, float)
_SCALARS = _Mapping({}, rest=_SCALAR)
_PAIRS = _one_of((dict, _SCALARS), (list, _STRINGS), says="mapping or list")
_SIZES = _one_of((str, _SIZE_TEXT), (int, _ANY), (float, _ANY), says="number or string")

_UPDATE = _Mapping(
    {
        "parallelism": _INTEGER,
        "delay": _DURATION_TEXT,
        "failure_action": _STRING,
        "monitor": _DURATION_TEXT,
        "max_failure_ratio": _NUMBER,
        "order": _text_like(re.compile("start-first|stop-first"), "must be one of start-first, stop-first"),
    }
)
_RESERVATIONS = _Mapping({"cpus": _STRING, "memory": _SIZE_TEXT, "generic_resources": _list(_ANY)})
_DEPLOY = _Mapping(
    {
        "mode": _STRING,
        "endpoint_mode": _STRING,
        "replicas": _INTEGER,
        "labels": _PAIRS,
        "rollback_config": _UPDATE,
        "update_config": _UPDATE,
        "resources": _Mapping(
            {
                "limits": _Mapping({"cpus": _STRING, "memory": _SIZE_TEXT, "pids": _INTEGER}),
                "reservations": _RESERVATIONS,
            }
        ),
        "restart_policy": _Mapping(
            {"condition": _STRING, "delay": _DURATION_TEXT, "max_attempts": _INTEGER, "window": _DURATION_TEXT}
        ),
        "placement": _Mapping({"constraints": _STRINGS, "preferences": _list(_ANY), "max_replicas_per_node": _INTEGER}),
    }
)
_HEALTHCHECK = _Mapping(
    {
        "disable": _BOOLEAN,
        "interval": _DURATION_TEXT,
        "retries": _NUMBER,
        "test": _TEXTS,
        "timeout": _DURATION_TEXT,
        "start_period": _DURATION_TEXT,
        "start_interval": _DURATION_TEXT,
    }
)
_FILE_REFERENCES = _list(
    _one_of(
        (str, _STRING),
        (
            dict,
            _Mapping(
                {"source": _STRING, "target": _STRING, "uid": _STRING, "gid": _STRING, "mode": _NUMBER}, rest=_ANY
            ),
        ),
        says="string or mapping",
    )
)
_PORTS = _list(
    _one_of(
        (str, _STRING),
        (int, _ANY),
        (float, _ANY),
        (dict, _Mapping({"mode": _STRING, "target": _INTEGER, "published": _INTEGER, "protocol": _STRING})),
        says="number, string or mapping",
    )
)
_MOUNTS = _list(
    _one_of(
        (str, _STRING),
        (
            dict,
            _Mapping(
                {
                    **dict.fromkeys(("type", "source", "target", "consistency"), _STRING),
                    "read_only": _BOOLEAN,
                    **dict.fromkeys(("bind", "volume", "tmpfs", "image", "cluster"), _ANY),
                }
            ),
        ),
        says="string or mapping",
    )
)
_ATTACHED = _Mapping({"aliases": _STRINGS, "driver_opts": _SCALARS, "ipv4_address": _STRING, "ipv6_address": _STRING})
_NETWORKS = _one_of((list, _STRINGS), (dict, _Mapping({}, rest=_ATTACHED)), says="list or mapping")
_PLAIN = (
    *("cgroupns_mode", "cgroup_parent", "container_name", "domainname", "hostname", "image", "ipc", "isolation"),
    *("mac_address", "network_mode", "pid", "restart", "stop_signal", "user", "userns_mode", "working_dir"),
)
_LISTS = ("cap_add", "cap_drop", "depends_on", "devices", "external_links", "links", "security_opt")
_SERVICE = _Mapping(
    {
        **dict.fromkeys(_PLAIN, _STRING),
        **dict.fromkeys(_LISTS, _STRINGS),
        **dict.fromkeys(("init", "privileged", "read_only", "stdin_open", "tty"), _BOOLEAN),
        **dict.fromkeys(("command", "dns", "dns_search", "entrypoint", "env_file", "tmpfs"), _TEXTS),
        **dict.fromkeys(("environment", "extra_hosts", "labels", "sysctls"), _PAIRS),
        **dict.fromkeys(("expose", "group_add"), _list(_SCALAR)),
        **dict.fromkeys(("configs", "secrets"), _FILE_REFERENCES),
        "build": _ANY,
        "credential_spec": _Mapping({"config": _STRING, "file": _STRING, "registry": _STRING}),
        "deploy": _DEPLOY,
        "healthcheck": _HEALTHCHECK,
        "logging": _Mapping({"driver": _STRING, "options": _SCALARS}),
        "networks": _NETWORKS,
        "oom_score_adj": _INTEGER,
        "ports": _PORTS,
        "shm_size": _SIZES,
        "stop_grace_period": _DURATION_TEXT,
        "ulimits": _Mapping({}, rest=_one_of((int, _ANY), (dict, _ANY), says="integer or mapping")),
        "volumes": _MOUNTS,
    }
)
_EXTERNAL = _one_of((bool, _ANY), (dict, _Mapping({"name": _STRING})), says="boolean or mapping")
_COMMON: Mapping[str, Check] = {"name": _STRING, "external": _EXTERNAL, "labels": _PAIRS}
_DRIVEN: Mapping[str, Check] = {**_COMMON, "driver": _STRING, "driver_opts": _SCALARS}
_NETWORK = _Mapping(
    {
        **_DRIVEN,
        "ipam": _Mapping({"driver": _STRING, "config": _list(_Mapping({"subnet": _STRING}))}),
        **dict.fromkeys(("internal", "attachable"), _BOOLEAN),
    }
)
_FILE = _Mapping({**_DRIVEN, "file": _STRING, "template_driver": _STRING})
_DOCUMENT = _Mapping(
    {
        "version": _STRING,
        "services": _Mapping({}, rest=_SERVICE),
        "networks": _Mapping({}, rest=_NETWORK),
        "volumes": _Mapping({}, rest=_Mapping({**_DRIVEN, "spec": _ANY})),
        "secrets": _Mapping({}, rest=_FILE),
        "configs": _Mapping({}, rest=_FILE),
    }
)
