#!/bin/sh
# enter.sh FOLDER NAME=VALUE... COMMAND...: runs a command in a tree with devices and processes, in namespaces that end with it and
# take along what was mounted. CACHE=... is a folder that the command sees as /cache. Needs root.
set -eu
# shellcheck disable=SC2016 # for the shell inside
exec unshare --mount --pid --fork --kill-child sh -c '
  set -eu
  root=$1
  shift
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  if [ -n "${CACHE:-}" ]; then
    mkdir -p "$root/cache"
    mount --bind "$CACHE" "$root/cache"
  fi
  exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
' sh "$@"
