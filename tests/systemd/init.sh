#!/bin/sh
# PID 1 of the test host: gives systemd a cgroup tree of its own, then becomes systemd. The machine's tree is never
# mounted here, because systemd would change it for the machine too.
set -e
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -o remount,rw /sys 2>/dev/null || true
mount -o remount,rw /proc/sys 2>/dev/null || umount /proc/sys 2>/dev/null || true
if [ "$1" = v2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755,nosuid,nodev,noexec cgroup /sys/fs/cgroup
  for controller in cpuset cpu cpuacct blkio memory devices freezer pids; do
    mkdir /sys/fs/cgroup/$controller
    mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller || rmdir /sys/fs/cgroup/$controller
  done
  mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi
# systemd leaves this out in containers, and LoadCredential= would then hand over an empty folder.
mount --make-rshared /
exec /lib/systemd/systemd systemd.show_status=0
