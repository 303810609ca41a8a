#!/bin/sh
set -eu
host=${CI_WARM_BASE_URL#*://}
curl --fail --silent --show-error --noproxy '*' --max-time 10 --output "$CI_WARM_ARTEFACTS/index.html" \
    --resolve "${host%%:*}:$CI_WARM_PORT:$CI_WARM_ADDRESS" ${CI_WARM_CA_FILE:+--cacert "$CI_WARM_CA_FILE"} \
    "$CI_WARM_BASE_URL/"
