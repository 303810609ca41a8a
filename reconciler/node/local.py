"""The node that this process runs on: its volumes are folders here. Effects: as its parts.

Today's only implementation of `ports.node.Node`; work on another node will be a task that is pinned to it.
"""

from dataclasses import dataclass, field

from reconciler.node.stamps import VolumeStamps
from reconciler.node.volume_files import VolumeFiles
from reconciler.ports.node import BackupFiles, Containers, Snapshots, Stamps


@dataclass(frozen=True, kw_only=True)
class LocalNode:
    """`containers`: those of the engine on this machine."""

    containers: Containers
    snapshots: Snapshots
    stamps: Stamps = field(default_factory=VolumeStamps)
    files: BackupFiles = field(default_factory=VolumeFiles)
