#!/bin/sh
# The front page answers; a name as the first argument keeps it as an artefact.
set -eu
host=${CI_WARM_BASE_URL#*://}
page=$(curl --fail --silent --show-error --noproxy '*' --max-time 10 \
    --resolve "${host%%:*}:$CI_WARM_PORT:$CI_WARM_ADDRESS" ${CI_WARM_CA_FILE:+--cacert "$CI_WARM_CA_FILE"} \
    "$CI_WARM_BASE_URL/")
test -n "$page"
echo "$CI_WARM_STAGE: $page"
test $# -eq 0 || echo "$page" > "$CI_WARM_ARTEFACTS/$1"
