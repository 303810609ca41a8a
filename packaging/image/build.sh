#!/bin/sh
# build.sh PACKAGE REFERENCE: makes an image of a clean Debian 13 with ci-warm's package and Docker's command line, and gives
# it to the engine that `docker` talks to. Needs root and mmdebstrap; no base image is pulled.
set -eu
package=$1
reference=$2
here=$(dirname "$(realpath "$0")")

refuse() {
  echo "make image: $1" >&2
  exit 2
}

[ -f "$package" ] || refuse "there is no package '$package': make deb SUITE=trixie"
[ "$(id -u)" = 0 ] || refuse "this needs root"
command -v mmdebstrap >/dev/null || refuse "there is no mmdebstrap: apt-get install mmdebstrap"
docker version >/dev/null 2>&1 || refuse "no Docker engine answers"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
root=$work/root
"$here/../tree/make.sh" trixie "$root" python3 git docker-cli gnupg openssh-client systemd-standalone-sysusers \
  systemd-standalone-tmpfiles
cp "$package" "$root/ci-warm.deb"
"$here/../tree/enter.sh" "$root" dpkg --install /ci-warm.deb >/dev/null
rm -rf "$root/ci-warm.deb" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
tar -C "$root" --one-file-system -c . |
  docker import --change 'ENTRYPOINT ["/usr/bin/ci-warm"]' --change 'CMD ["--help"]' - "$reference" >/dev/null
echo "$reference"
