"""Generated documents with one flaw that Docker refuses. Pure."""

import random

from tests.rendering import grammar
from tests.rendering import values as v
from tests.rendering.reading import Recipe

FLAWS: tuple[dict[str, object], ...] = (
    {"imagee": "x"},
    {"command": 5},
    {"command": ["a", 5]},
    {"environment": {"A": True}},
    {"environment": "A=1"},
    {"labels": {"a": ["b"]}},
    {"ports": ["x"]},
    {"ports": ["80:x"]},
    {"ports": ["8000-8002:80-81"]},
    {"ports": [{"target": "80"}]},
    {"ports": [{"target": 80, "published": "${TEXT}"}]},
    {"volumes": [{"source": "a", "target": "/b"}]},
    {"volumes": [{"type": "volume", "target": "/b", "more": 1}]},
    {"volumes": ["more:/b:ro:rw"]},
    {"networks": {"default": 5}},
    {"deploy": {"replicas": "three"}},
    {"deploy": {"replicas": "${WORD}"}},
    {"deploy": {"replicas": "${UNSET}"}},
    {"deploy": {"replicas": -1}},
    {"deploy": {"update_config": {"order": "any"}}},
    {"deploy": {"update_config": {"delay": "5"}}},
    {"deploy": {"update_config": {"max_failure_ratio": "${WORD}"}}},
    {"deploy": {"resources": {"limits": {"cpus": 0.5}}}},
    {"deploy": {"resources": {"limits": {"memory": "1x"}}}},
    {"healthcheck": {"interval": "5"}},
    {"healthcheck": {"retries": "many"}},
    {"read_only": "yes"},
    {"read_only": "${NUMBER}"},
    {"tty": v.Plain("yes")},
    {"ulimits": {"nofile": {"soft": 1}}},
    {"ulimits": {"nofile": "${WORD}"}},
    {"logging": {"driver": "x", "more": 1}},
    {"configs": [{"source": "c", "mode": "0440"}]},
    {"cap_add": ["A", "A"]},
    {"stop_grace_period": "soon"},
    {"hostname": "a$"},
    {"hostname": "a${"},
    {"hostname": "${1}"},
    {"hostname": "$(a)"},
    {"hostname": "${UNSET:?is needed}"},
    {"hostname": "${UNSET?}"},
    {"hostname": "${EMPTY:?$2y}"},
    {"hostname": "${TEXT!}"},
    {"hostname": 5},
    {"working_dir": v.Plain("0o7")},
    {"extends": {"service": "x"}},
    {"x-any": "${UNSET:?is needed}"},
)


def spoil(seed: str, number: int) -> Recipe:
    """A generated app with one flaw, in a service that its last file alone has."""
    rng = random.Random(f"{seed}/flaw/{number}")
    case = grammar.make_case(seed, number, rng.randrange(1, 4))
    flaw = FLAWS[number % len(FLAWS)]
    case.files[-1]["services"]["flawed"] = {"image": "x", **flaw}
    return Recipe(tuple(grammar.join([case], "3.13")), v.env_file(rng))
