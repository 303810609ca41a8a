#!/bin/bash
# Keycloak reads no *_FILE variables itself.
set -eu
KC_DB_PASSWORD=$(cat /run/secrets/db_password)
KC_BOOTSTRAP_ADMIN_PASSWORD=$(cat /run/secrets/admin_password)
# Names of before version 26.
KEYCLOAK_ADMIN=$KC_BOOTSTRAP_ADMIN_USERNAME KEYCLOAK_ADMIN_PASSWORD=$KC_BOOTSTRAP_ADMIN_PASSWORD
export KC_DB_PASSWORD KC_BOOTSTRAP_ADMIN_PASSWORD KEYCLOAK_ADMIN KEYCLOAK_ADMIN_PASSWORD
exec /opt/keycloak/bin/kc.sh "$@"
