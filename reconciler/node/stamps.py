"""Stamps beside the volumes: which release last wrote each. Effects: one small file beside each volume's data.

Beside and not in it, so that no app sees it and no snapshot holds it; the engine removes it with the volume.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.model.data_stamp import DataStamp
from reconciler.model.observed import VolumeObs
from reconciler.ports.node import Stamps
from reconciler.state import files, records

_NAME = ".ci-warm-data.json"


class VolumeStamps(Stamps):
    """On folders that this process can reach; a volume that lies elsewhere has none."""

    @override
    def read(self, volumes: Sequence[VolumeObs]) -> Mapping[str, DataStamp]:
        found = {volume.name: records.read(_path(volume), DataStamp) for volume in volumes if volume.path}
        return {name: stamp for name, stamp in found.items() if stamp is not None}

    @override
    def write(self, volumes: Sequence[VolumeObs], stamps: Mapping[str, DataStamp]) -> tuple[str, ...]:
        problems = []
        for volume in volumes:
            stamp = stamps.get(volume.name)
            # A volume that the engine has not made yet has no folder; it is stamped at the commit.
            if stamp is None or not volume.path or not Path(volume.path).exists():
                continue
            try:
                files.write_atomic(_path(volume), records.dump(stamp))
            except OSError as exc:
                # The one that stands would be false; to remove it needs no room, which recovery may not have.
                with contextlib.suppress(OSError):
                    _path(volume).unlink(missing_ok=True)
                problems.append(f"volume {volume.name} cannot be stamped: {exc.strerror or exc}")
        return tuple(problems)


def _path(volume: VolumeObs) -> Path:
    return Path(volume.path).with_name(_NAME)
