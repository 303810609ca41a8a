"""Stamps beside the volumes: which release last wrote each. Effects: one small file beside each volume's data.

Beside and not in it, so that no app sees it and no snapshot holds it; the engine removes it with the volume.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.model.data_stamp import DataStamp
from reconciler.model.errors import ActError
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
    def write(self, volumes: Sequence[VolumeObs], stamps: Mapping[str, DataStamp]) -> None:
        try:
            for volume in volumes:
                stamp = stamps.get(volume.name)
                # A volume that the engine has not made yet has no folder; it is stamped at the commit.
                if stamp is not None and volume.path and Path(volume.path).exists():
                    files.write_atomic(_path(volume), records.dump(stamp))
        except OSError as exc:
            raise ActError(f"the stamp of the data cannot be written: {exc}", host_fault=True) from exc


def _path(volume: VolumeObs) -> Path:
    return Path(volume.path).with_name(_NAME)
