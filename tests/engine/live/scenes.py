"""Scenes that several tests of live apps start from."""

import json
from typing import Any

import pytest

from tests.fakes.world import Crash, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def crash_at(host: Host, point: str) -> None:
    """Die at the first effect point of that name."""
    with pytest.raises(Crash):
        host.reconcile(crash_at=point)


def mount(host: Host, tag: str, *volumes: str, **top: Any) -> None:
    """Rewrite a release's compose file to mount more."""
    files = host.recipes.releases[tag]
    doc = json.loads(files["compose.yml"])
    doc["services"]["app"]["volumes"] = list(volumes)
    doc["volumes"] = {volume.partition(":")[0]: top.get(volume.partition(":")[0], {}) for volume in volumes}
    files["compose.yml"] = json.dumps(doc).encode()
