#!/bin/sh
# watch.sh RUN HANDOUT OUTSIDE: the run's dashboard, as soon as there is something to show; it only reads.
#
#   HANDOUT   folder with the token that the dashboard asks for; without a folder it answers on loopback only
#   OUTSIDE   HOST:PORT at which it is reached from outside the container
set -eu
run=${1:?usage: watch.sh RUN HANDOUT OUTSIDE}
handout=${2?usage: watch.sh RUN HANDOUT OUTSIDE}
outside=${3:?usage: watch.sh RUN HANDOUT OUTSIDE}

# The coordinator's log is there once the run is laid out, wherever that happens.
until [ -e "$run/logs/coordinator.jsonl" ]; do sleep 1; done
if [ -n "$handout" ]; then
    exec peerwatt dashboard "$run" --host 0.0.0.0 --port 8765 --token-file "$handout/token" --outside "$outside"
fi
exec peerwatt dashboard "$run" --port 8765 --outside "$outside"
