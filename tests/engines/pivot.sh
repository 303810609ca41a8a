#!/bin/sh
# pivot.sh TREE FOLDER... -- COMMAND...: in mount and network namespaces that are new, COMMAND with TREE as its root and
# each FOLDER in it under its own name, so that paths mean the same inside and outside. A chroot would not do: an
# engine mounts things over its root.
set -eu
tree=$1
shift
# Mounts that are made outside later may come in, if the caller wants it (unshare --propagation slave); none goes out.
mount --make-rslave /
mount --bind "$tree" "$tree"
while [ "$1" != -- ]; do
  mkdir -p "$tree$1"
  mount --rbind "$1" "$tree$1"
  shift
done
shift
for at in proc sys dev; do
  mount --rbind "/$at" "$tree/$at"
done
# Not the tree's own: what a killed engine left there would be taken for a running one.
mount -t tmpfs run "$tree/run"
ip link set lo up
cd "$tree"
mkdir -p .before
pivot_root . .before
umount -l /.before
cd /
exec "$@"
