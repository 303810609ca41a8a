#!/bin/sh
# make.sh SUITE FOLDER PACKAGE...: a clean Debian tree that a package or an image is made in or of. TREE=... names one to be
# copied instead, MIRROR=... another mirror than mmdebstrap's own. Needs root.
set -eu
suite=$1
folder=$2
shift 2
if [ -n "${TREE:-}" ]; then
  exec cp -a --reflink=auto "$TREE" "$folder"
fi
include=$(echo "$*" | tr ' ' ,)
exec mmdebstrap --quiet --variant=minbase --mode=root --include="ca-certificates,$include" "$suite" "$folder" ${MIRROR:+"$MIRROR"}
