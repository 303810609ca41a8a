"""What the tests of snapshots start from."""

from tests.disks import disk, few_descriptors

__all__ = ["disk", "few_descriptors"]
