#!/bin/sh
# install.sh FOLDER HOST...: installs the package in FOLDER that fits each Debian host, over ssh, as root or by sudo. One line
# per host; exit 1 if one failed, and the others are done all the same. Nothing is started that did not run before.
set -u
if [ $# -lt 2 ]; then
  echo "usage: install.sh FOLDER HOST..." >&2
  exit 2
fi
folder=$1
shift
if [ ! -d "$folder" ]; then
  echo "install.sh: $folder is not a folder" >&2
  exit 2
fi

call() { ssh -o BatchMode=yes -o ConnectTimeout=10 "$@"; }

# For the host's own shell: the package comes on stdin.
# shellcheck disable=SC2016
install='set -e
as_root=; [ "$(id -u)" = 0 ] || as_root="sudo -n"
folder=$(mktemp -d); trap "rm -rf $folder" EXIT
chmod 755 "$folder"; cat >"$folder/ci-warm.deb"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet "$folder/ci-warm.deb" >"$folder/log" 2>&1 ||
  { grep "^E:" "$folder/log" | tail -n 1 >&2; exit 1; }
ci-warm --version'

install_on() {
  # shellcheck disable=SC2016 # for the shell of the host
  release=$(call "$1" '. /etc/os-release && echo "$ID$VERSION_ID"' </dev/null 2>&1) ||
    { echo "cannot be asked: $(echo "$release" | tail -n 1)"; return 1; }
  case $release in
  debian*) ;;
  *) echo "is no Debian: $release"; return 1 ;;
  esac
  set -- "$1" "$folder"/ci-warm_*~deb"${release#debian}"_amd64.deb
  if [ $# != 2 ] || [ ! -f "$2" ]; then
    echo "no package, or more than one, for Debian ${release#debian} in $folder"
    return 1
  fi
  call "$1" "$install" <"$2" 2>&1 | tail -n 1 | grep . || { echo "failed without a word"; return 1; }
}

status=0
for host in "$@"; do
  if said=$(install_on "$host") && [ "${said#ci-warm }" != "$said" ]; then
    echo "$host: $said"
  else
    echo "$host: FAILED: $said"
    status=1
  fi
done
exit $status
