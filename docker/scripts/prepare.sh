#!/bin/sh
# prepare.sh SCENARIO [OPTION…]: all that a fleet needs before its first message, made at first start and kept
# (`peerwatt prepare SCENARIO OPTION…`). Starts as root to hand directories to the fleet's user, then works as
# that user.
#
#   PEERWATT_RUN                the run's directory, /runs/NAME
#   PEERWATT_UID, PEERWATT_GID  the fleet's user
#   PEERWATT_OUTSIDE            HOST:PORT at which the server is published
#   PEERWATT_DASHBOARD          HOST:PORT at which the dashboard is published, if there is one
set -eu
: "${1:?usage: prepare.sh SCENARIO [OPTION…]}"
: "${PEERWATT_RUN:?}" "${PEERWATT_UID:?}" "${PEERWATT_GID:?}" "${PEERWATT_OUTSIDE:?}"

# Docker makes the directories of bind mounts as root; some engines before this, some after.
cd "$PEERWATT_RUN" 2> /dev/null || { mkdir -p "$PEERWATT_RUN" && cd "$PEERWATT_RUN"; }
mkdir -p deployment/stored logs records server
find /runs -maxdepth 0 -uid 0 -exec chown "$PEERWATT_UID:$PEERWATT_GID" {} +
find . -type d -uid 0 -exec chown "$PEERWATT_UID:$PEERWATT_GID" {} +

exec setpriv --reuid="$PEERWATT_UID" --regid="$PEERWATT_GID" --clear-groups \
    peerwatt prepare "$@" --run "$PEERWATT_RUN" --outside "$PEERWATT_OUTSIDE" \
    ${PEERWATT_DASHBOARD:+--dashboard "$PEERWATT_DASHBOARD"}
