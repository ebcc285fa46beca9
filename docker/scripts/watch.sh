#!/bin/sh
# watch.sh RUN HANDOUT OUTSIDE [HOST]: the run's dashboard, as soon as there is something to show; it only reads.
#
#   HANDOUT   folder with the token that the dashboard asks for; it is read anew at each request
#   OUTSIDE   HOST:PORT at which it is reached from outside the container
#   HOST      address to listen on in the container (0.0.0.0)
set -eu
run=${1:?usage: watch.sh RUN HANDOUT OUTSIDE [HOST]}
handout=${2:?usage: watch.sh RUN HANDOUT OUTSIDE [HOST]}
outside=${3:?usage: watch.sh RUN HANDOUT OUTSIDE [HOST]}
host=${4:-0.0.0.0}

# The coordinator's log is there once the run is laid out, wherever that happens.
until [ -e "$run/logs/coordinator.jsonl" ]; do sleep 1; done
exec peerwatt dashboard "$run" --host "$host" --port 8765 --token-file "$handout/token" --outside "$outside"
