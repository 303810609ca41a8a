#!/bin/sh
# The same app as notes_app.py for images that hold nothing but busybox. Same environment, same answers.
[ -n "$IGNORE_TERM" ] && trap '' TERM
if [ "$FAIL" = before ]; then echo "failing before the migration, as told"; exit 3; fi
mkdir -p /www
if [ -d /data ]; then
  if [ -n "$FENCE" ]; then # tests ask for it: a task that still runs when another one starts says so
    token=$(cat /proc/sys/kernel/random/uuid)
    echo "$token" >/data/.fence
    while sleep 0.1; do
      [ "$(cat /data/.fence)" = "$token" ] || echo "two writers at once" >/data/OVERLAP
    done &
  fi
  if [ ! -e /data/notes.txt ]; then
    printf 'first note\nsecond note\n' >/data/notes.txt
    printf '%s' "${SCHEMA:-1}" >/data/schema
  fi
  have=$(cat /data/schema)
  if [ "$have" -gt "${SCHEMA:-1}" ]; then echo "data has schema $have, this version knows ${SCHEMA:-1}"; exit 4; fi
  if [ "$have" -lt "${SCHEMA:-1}" ]; then
    sed -i "s/^/[schema $SCHEMA] /" /data/notes.txt
    printf '%s' "$SCHEMA" >/data/schema
  fi
  ln -sf /data/notes.txt /www/notes
fi
if [ "$FAIL" = after ]; then echo "failing after the migration, as told"; exit 3; fi
[ "$FAIL" = unhealthy ] || printf 'ok %s' "$VERSION" >/www/health
printf '%s' "$VERSION" >/www/index.html
httpd -f -p "${PORT:-8080}" -h /www &
child=$!
[ -n "$IGNORE_TERM" ] || trap 'kill $child; exit ${TERM_CODE:-0}' TERM
if [ -e /data/fail-late ]; then sleep "$(cat /data/fail-late)"; echo "failing late, as the data says"; exit 3; fi
if [ "$FAIL" = late ]; then sleep "${LATE_S:-1.5}"; echo "failing late, as told"; exit 3; fi
while :; do wait $child; done
