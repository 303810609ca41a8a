#!/bin/sh
# build.sh SUITE FOLDER: makes FOLDER/ci-warm_VERSION_amd64.deb for Debian 12 (bookworm) or 13 (trixie), in a clean tree of
# that suite with its own Python. Needs root and mmdebstrap. PIP_CACHE_DIR=... keeps wheels between builds.
set -eu
suite=$1
folder=$2
here=$(dirname "$(realpath "$0")")
project=$(realpath "$here/../..")

refuse() {
  echo "make deb: $1" >&2
  exit 2
}

case $suite in
bookworm) release=12 ;;
trixie) release=13 ;;
*) refuse "there is no package for '$suite'; there are: bookworm, trixie" ;;
esac
[ "$(id -u)" = 0 ] || refuse "this needs root"
command -v mmdebstrap >/dev/null || refuse "there is no mmdebstrap: apt-get install mmdebstrap"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
root=$work/root
"$here/../tree/make.sh" "$suite" "$root" python3 python3-venv
mkdir "$root/source"
tar -C "$project" --exclude=__pycache__ -c pyproject.toml README.md LICENSE CHANGELOG.md requirements-web.lock \
  build-requirements.lock reconciler packaging | tar -C "$root/source" -x --no-same-owner
# The libraries come over the network: by the names and the authorities that this machine knows.
cp /etc/resolv.conf "$root/etc/resolv.conf"
authorities=/etc/ssl/certs/ca-certificates.crt
if [ -e "$authorities" ]; then cp "$authorities" "$root$authorities"; fi
CACHE=${PIP_CACHE_DIR:-} "$here/../tree/enter.sh" "$root" PIP_CACHE_DIR=/cache PIP_ROOT_USER_ACTION=ignore \
  SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(stat -c %Y "$project/CHANGELOG.md")}" sh /source/packaging/deb/inside.sh "$release"
mkdir -p "$folder"
for made in "$root"/*.deb; do
  cp "$made" "$folder/"
  echo "$folder/$(basename "$made")"
done
