"""Generated services: everything that a stack may say of one. Pure."""

from tests.rendering import values as v
from tests.rendering.values import Make, Rng

Document = dict[str, object]
_IMAGES = ("app:1", "app:${NUMBER}", "${UNSET:-r.test/app:2}", f"app@sha256:{'0' * 64}")


def _update() -> Make:
    return v.of(
        parallelism=v.number,
        delay=v.duration,
        failure_action=v.choice("pause", "continue", "rollback", ""),
        monitor=v.duration,
        max_failure_ratio=v.choice(0, 0.0, 0.5, 1, v.Plain(".25"), v.Plain("5e-1"), "${UNSET:-0.3}", "${NUMBER}"),
        order=v.choice("start-first", "stop-first"),
    )


_DEPLOY = v.of(
    mode=v.choice("replicated", "global", "replicated-job", "", "${UNSET:-global}"),
    replicas=v.number,
    endpoint_mode=v.choice("vip", "dnsrr"),
    labels=v.optional(v.pairs(("a", "traefik.x", "mode", "replicas"))),
    update_config=_update(),
    rollback_config=_update(),
    resources=v.of(
        limits=v.of(cpus=v.choice("0.5", "${NUMBER}", ""), memory=v.memory, pids=v.choice(0, 5, v.Plain("1_0"))),
        reservations=v.of(
            cpus=v.choice("0.1", "0.20"),
            memory=v.memory,
            generic_resources=v.some(
                lambda rng, file: {"discrete_resource_spec": {"kind": f"k{file}", "value": rng.randrange(9)}}
            ),
        ),
    ),
    restart_policy=v.of(
        condition=v.choice("any", "none", "on-failure", ""),
        delay=v.duration,
        max_attempts=v.number,
        window=v.duration,
    ),
    placement=v.of(
        constraints=v.some(lambda rng, file: f"node.labels.{v.word(rng, file)} == f{file}x{rng.randrange(99)}"),
        preferences=v.some(lambda rng, file: {"spread": f"node.labels.f{file}x{rng.randrange(99)}"}),
        max_replicas_per_node=v.number,
    ),
)
_HEALTH = v.of(
    interval=v.duration,
    timeout=v.duration,
    start_period=v.duration,
    start_interval=v.duration,
    retries=v.number,
    disable=v.boolean,
)


def _logging(rng: Rng, file: int) -> Document:
    """Always with options: what becomes of them where only the overlay has some is a difference (differences.py)."""
    values = v.one_of(v.text, v.choice(5, v.Plain("1e3"), ""))
    options = {key: values(rng, file) for key in rng.sample(("max-size", "size", "tag"), rng.randrange(1, 4))}
    driver = v.of(driver=v.choice("json-file", "syslog", ""))(rng, file) if rng.random() < 0.8 else {}
    return {**driver, "options": options}


_COMMAND = v.one_of(v.choice("run me now", "a 'b c' \"d e\"", "${UNSET:-x y}", "sh -c 'echo $$HOME'"), v.some(v.text))
_HOSTS = v.one_of(
    lambda rng, file: {f"h{file}{n}": rng.choice(("10.0.0.1", "::1", "[::1]")) for n in range(rng.randrange(1, 3))},
    lambda rng, file: [f"h{file}{n}{rng.choice(':=')}10.0.0.{n}" for n in range(rng.randrange(1, 3))],
    lambda _rng, file: [f"h{file}:[fe80::{file}]", f"g{file}=${{UNSET:-10.1.1.1}}"],
)
_ULIMITS = v.of(
    nofile=v.one_of(v.number, lambda rng, _file: {"soft": v.number(rng), "hard": v.number(rng)}),
    nproc=v.one_of(v.number, lambda _rng, _file: {"soft": 1, "hard": "${NUMBER}"}),
    memlock=v.choice(-1, {"soft": -1, "hard": -1}),
)


def _tagged(prefix: str) -> Make:
    """Entries of lists, other ones in each file: docker has in there twice what two files say (differences.py)."""
    return lambda rng, file: f"{prefix}{file}{rng.randrange(99)}"


def _texts(prefix: str) -> Make:
    return v.one_of(_tagged(prefix), v.optional(v.some(_tagged(prefix))))


_PLAIN: dict[str, Make] = {
    "command": v.optional(_COMMAND),
    "entrypoint": v.optional(_COMMAND),
    "environment": v.optional(v.pairs(("A", "B", "FILLED", "TEXT", "EMPTY", "UNSET", "replicas", "target"))),
    "labels": v.optional(v.pairs(("a", "b.c", "read_only", "x-y"))),
    "sysctls": v.pairs(("net.core.somaxconn", "kernel.x")),
    "deploy": _DEPLOY,
    "healthcheck": _HEALTH,
    "logging": _logging,
    "ulimits": _ULIMITS,
    "extra_hosts": _HOSTS,
    "dns": _texts("10.0.0."),
    "dns_search": _texts("d"),
    "tmpfs": _texts("/t"),
    "cap_add": v.some(_tagged("CAP_")),
    "cap_drop": v.some(_tagged("CAP_")),
    "devices": v.some(_tagged("/dev/d")),
    "security_opt": v.some(_tagged("s:")),
    "expose": v.some(lambda rng, file: rng.choice((int, str))(1000 * (file + 1) + rng.randrange(99))),
    "depends_on": v.some(_tagged("s")),
    "hostname": v.optional(v.word),
    "user": v.choice("1000:1000", "", "${NUMBER}", "root"),
    "working_dir": v.choice("/w", "/", "${UNSET-/d}"),
    "stop_signal": v.choice("SIGINT", "9", ""),
    "stop_grace_period": v.duration,
    "init": v.choice(True, False),
    "read_only": v.boolean,
    "tty": v.boolean,
    "stdin_open": v.boolean,
    "privileged": v.boolean,
    "oom_score_adj": v.number,
    "shm_size": v.choice("64M", "${NUMBER}m"),
    "pid": v.choice("host", ""),
    "ipc": v.choice("host", "private"),
    "isolation": v.choice("default", ""),
    "restart": v.choice("always", "no", "on-failure:3"),
    "network_mode": v.choice("bridge", ""),
    "container_name": v.optional(v.word),
    "x-more": v.scalar,
    "cgroupns_mode": v.choice("private", "host"),
    "mac_address": v.choice("", "02:42:ac:11:65:43"),
    "domainname": v.optional(v.word),
    "cgroup_parent": v.optional(v.word),
    "links": v.some(_tagged("s")),
    "external_links": v.some(_tagged("s")),
    "userns_mode": v.choice("host", ""),
    "credential_spec": v.of(file=v.word, registry=v.word),
    "build": v.one_of(v.choice("."), v.of(context=v.choice("."), args=v.pairs(("A", "B")), labels=v.pairs(("a",)))),
}


def _ports(rng: Rng, file: int) -> list[object]:
    """Each published port has one protocol, and one port at most is not published (differences.py)."""
    found: dict[int, object] = {}
    for base in rng.sample(range(8000, 8040, 10), rng.randrange(1, 4)):
        protocol = "udp" if base == 8010 else "tcp"
        suffix = "/udp" if base == 8010 else rng.choice(("", "/tcp"))
        target = rng.choice((80, 443))
        forms = (
            f"{base}:{target}{suffix}",
            f"127.0.0.1:{base}:{target}{suffix}",
            f"{base}-{base + 2}:{target}-{target + 2}{suffix}",
            f"{base}-{base + 1}:{target}{suffix}",
            {"target": target, "published": base, "protocol": protocol, "mode": rng.choice(("host", "ingress"))},
            {"target": "${UNSET:-81}", "published": f"${{UNSET:-{base}}}", "protocol": protocol, "mode": "host"},
            f"${{UNSET:-{base}}}:${{UNSET:-{target}}}{suffix}",
        )
        found[base] = rng.choice(forms)
    if rng.random() < 0.3:
        found[0] = rng.choice((9000, "9000", {"target": 9000}))
    return list(found.values())


def _mounts(case: int) -> Make:
    def make(rng: Rng, file: int) -> list[object]:
        found: list[object] = []
        for target in rng.sample(("/data", "/cache", "/etc/x", "/anon"), rng.randrange(1, 4)):
            name = f"{rng.choice(('data', 'more'))}{case}"
            forms: tuple[object, ...] = (
                f"{name}:{target}",
                f"{name}:{target}:{rng.choice(('ro', 'rw', 'nocopy', 'ro,nocopy'))}",
                target,
                f"/srv/{name}:{target}:{rng.choice(('ro', 'rslave', 'z'))}",
                f"/srv/../{name}:{target}",
                {"type": "volume", "source": name, "target": target, "read_only": v.boolean(rng)},
                {"type": "volume", "source": name, "target": target, "volume": {"nocopy": v.boolean(rng)}},
                {"type": "tmpfs", "target": target, "tmpfs": {"size": rng.choice((0, 4096, v.Plain("1_000")))}},
                {"type": "bind", "source": "/srv", "target": target, "bind": {"propagation": "rshared"}},
                f"${{UNSET:-{name}}}:{target}",
            )
            found.append(rng.choice(forms))
        return found

    return make


def _references(section: str, case: int) -> Make:
    def make(rng: Rng, file: int) -> list[object]:
        found: list[object] = []
        for short in rng.sample(("one", "two", "three"), rng.randrange(1, 4)):
            name = f"{section}-{short}{case}"
            long = v.of(uid=v.choice("1", "${NUMBER}"), gid=v.choice("2", ""), mode=v.choice(0o440, v.Plain("0444"), 0))
            found.append(
                rng.choice((name, {"source": name, **long(rng, file)}, {"source": name, "target": f"/{short}"}))
            )
        return found

    return make


def _attached(case: int) -> Make:
    body = v.of(
        aliases=v.some(_tagged("n")),
        driver_opts=v.of(o=v.word, p=v.choice(5, "6")),
        ipv4_address=v.choice("10.0.0.5", "", "${UNSET:-10.0.0.6}"),
        ipv6_address=v.choice("fe80::1", ""),
    )

    def make(rng: Rng, file: int) -> object:
        names = rng.sample((f"front{case}", f"back{case}", "default"), rng.randrange(1, 4))
        if rng.random() < 0.5:
            return names
        return {name: rng.choice((None, {}, body(rng, file), body(rng, file))) for name in names}

    return make


def make(rng: Rng, number: int, file: int, only: tuple[str, ...] | None) -> Document:
    makes: dict[str, Make] = {
        **_PLAIN,
        "ports": _ports,
        "volumes": _mounts(number),
        "configs": _references("configs", number),
        "secrets": _references("secrets", number),
        "networks": _attached(number),
    }
    keys = rng.sample(sorted(makes), rng.randrange(2, 12))
    if only is not None:  # an overlay that speaks of what is there already is the more telling one
        keys = [*rng.sample(only, rng.randrange(len(only) + 1)), *keys[:3]]
    return {key: makes[key](rng, file) for key in dict.fromkeys(keys) if key in makes}


def make_base(rng: Rng) -> Document:
    """What the first file alone says: later ones would make it another app, or a difference (differences.py)."""
    body: Document = {"image": rng.choice(_IMAGES)}
    if rng.random() < 0.5:
        test = rng.choice(("true", ["CMD", "a"], ["NONE"], "x $$y"))
        body["healthcheck"] = _HEALTH(rng, 0) | {"test": test}
    return body
