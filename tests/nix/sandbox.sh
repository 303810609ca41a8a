# Becomes the build user in a root of its own and runs python3 there: sandbox.sh ROOT SHELL BINDS ENVIRONMENT.. -- WORDS..
# BINDS: pairs HERE:THERE, read-only. Called by sandbox.py in namespaces of its own, so nothing is left to clean up.
set -eu
root=$1 shell=$2 binds=$3
shift 3
mount -t tmpfs -o mode=0755 none "$root"
mkdir -p "$root/bin" "$root/build" "$root/dev/pts" "$root/dev/shm" "$root/etc" "$root/proc" "$root/tmp"
chmod 1777 "$root/tmp"
chown 1000:100 "$root/build"
cp "$shell" "$root/bin/sh"
ln -s usr/lib "$root/lib"
for pair in $binds; do
  mkdir -p "$root${pair#*:}"
  mount --bind -o ro "${pair%%:*}" "$root${pair#*:}"
done
cat >"$root/etc/passwd" <<END
root:x:0:0::/build:/noshell
nixbld:x:1000:100::/build:/noshell
nobody:x:65534:65534::/:/noshell
END
cat >"$root/etc/group" <<END
root:x:0:
nixbld:!:100:
nogroup:x:65534:
END
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 none "$root/dev/pts"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t proc none "$root/proc"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
ip link set lo up
hostname localhost
exec chroot --userspec=1000:100 --groups= "$root" /nix/store/tools/bin/env --ignore-environment \
  /bin/sh -c 'set -eu
    while [ "$1" != -- ]; do export "$1"; shift; done
    shift
    eval "$PRE_CHECK"
    cd /build/source
    exec python3 "$@"' sh "$@"
