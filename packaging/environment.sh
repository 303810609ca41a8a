#!/bin/sh
# environment.sh FOLDER LOCK: makes or renews the virtual environment that `make` works with, of what LOCK names and of
# this checkout. What the machine lacks is told in one line before anything is made, and a new environment that did not
# become whole is removed, so that the next try begins anew.
set -eu
folder=$1
lock=$2
python=${PYTHON:-python3}

refuse() {
  echo "set-up: $1" >&2
  exit 1
}

command -v "$python" >/dev/null || refuse "there is no $python: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  refuse "$("$python" --version 2>&1) is too old, 3.11 or newer is needed: make PYTHON=/path/to/a/newer/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  refuse "$python cannot make virtual environments: apt-get install python3-venv"
command -v git >/dev/null || refuse "there is no git: apt-get install git"

made=""
said=$(mktemp)
leave() {
  status=$?
  rm -f "$said"
  if [ "$status" != 0 ] && [ -n "$made" ]; then rm -rf "$folder"; fi
  exit "$status"
}
trap leave EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# An environment without a pip that works is the rest of a set-up that was killed.
if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
  made=yes
  rm -rf "$folder"
  "$python" -m venv "$folder" >"$said" 2>&1 || refuse "no virtual environment in $folder: $(tail -n 1 "$said")"
fi

install() {
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" 2>"$said" ||
    refuse "pip failed, is the network there? $(grep '^ERROR' "$said" | tail -n 1)"
}

install --require-hashes -r "$lock"
install --no-deps --no-build-isolation -e .
