#!/bin/sh
# coordinate.sh RUN: the coordinator's session, then the report of the run.
# The coordinator is run beside this shell so that a signal to stop reaches it.
set -u
run=${1:?usage: coordinate.sh RUN}

python -m coordinator run --run "$run" &
coordinator=$!
trap 'kill -TERM "$coordinator" 2>/dev/null' TERM INT
status=
while [ -z "$status" ]; do
    wait "$coordinator"
    status=$?
    # A trapped signal ends `wait` early: wait again for the coordinator's own end.
    if kill -0 "$coordinator" 2>/dev/null; then status=; fi
done
trap - TERM INT
[ "$status" -eq 0 ] || exit "$status"
exec peerwatt report "$run"
