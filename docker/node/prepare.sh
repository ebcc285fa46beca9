#!/bin/sh
# prepare.sh SCENARIO [OPTION…]: all that a fleet needs before its first message, made at first start and kept:
# the deployment's private CA, the server's certificate, the secret from which passwords are derived, and the
# run's configuration (`peerwatt prepare SCENARIO OPTION…`).
#
# Starts as root to hand directories to the fleet's user, then works as that user.
#   PEERWATT_DOMAIN             domain of all JIDs, and the server's name on the fleet's network
#   PEERWATT_RUN                the run's directory, /runs/NAME
#   PEERWATT_UID, PEERWATT_GID  the fleet's user
#   PEERWATT_PORT               port on the host's 127.0.0.1 at which the server is published
set -eu
: "${1:?usage: prepare.sh SCENARIO [OPTION…]}"
: "${PEERWATT_DOMAIN:?}" "${PEERWATT_RUN:?}" "${PEERWATT_UID:?}" "${PEERWATT_GID:?}" "${PEERWATT_PORT:?}"
credentials=/deployment/credentials
owner="$PEERWATT_UID:$PEERWATT_GID"

as_fleet_user() {
    setpriv --reuid="$PEERWATT_UID" --regid="$PEERWATT_GID" --clear-groups "$@"
}

# Docker makes the directories of a bind mount as root.
for directory in /runs "$PEERWATT_RUN"; do
    mkdir -p "$directory"
    if [ "$(stat -c %u "$directory")" -eq 0 ]; then chown "$owner" "$directory"; fi
done

mkdir -p "$credentials" /deployment/prosody
python - "$credentials" "$PEERWATT_DOMAIN" << 'EOF'
import sys
from pathlib import Path

from runtime.xmpp.authority import ensure_credentials

ensure_credentials(Path(sys.argv[1]), sys.argv[2])
EOF
# The key of the CA stays with root; the server runs as the fleet's user.
chown "$owner" "$credentials/server.pem" "$credentials/server.key.pem" "$credentials/secret" /deployment/prosody
chmod 700 /deployment/prosody

as_fleet_user mkdir -p "$PEERWATT_RUN/deployment" "$PEERWATT_RUN/server"
install -o "$PEERWATT_UID" -g "$PEERWATT_GID" -m 644 "$credentials/ca.pem" "$PEERWATT_RUN/deployment/ca.pem"
install -o "$PEERWATT_UID" -g "$PEERWATT_GID" -m 600 "$credentials/secret" "$PEERWATT_RUN/deployment/secret"

as_fleet_user peerwatt prepare "$@" --run "$PEERWATT_RUN" \
    --domain "$PEERWATT_DOMAIN" --host "$PEERWATT_DOMAIN" --port 5222 \
    --ca-file "$PEERWATT_RUN/deployment/ca.pem" --secret-file "$PEERWATT_RUN/deployment/secret"

# The same connection as the host sees it; its paths are relative to the run's directory.
as_fleet_user tee "$PEERWATT_RUN/connection-host.json" > /dev/null << EOF
{
  "domain": "$PEERWATT_DOMAIN",
  "host": "127.0.0.1",
  "port": $PEERWATT_PORT,
  "ca_file": "deployment/ca.pem",
  "secret_file": "deployment/secret"
}
EOF
