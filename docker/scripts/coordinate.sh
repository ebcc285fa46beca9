#!/bin/sh
# coordinate.sh RUN HANDOUT: the coordinator's session, then the report of the run.
# The coordinator is run beside this shell so that a signal to stop reaches it.
set -u
run=${1:?usage: coordinate.sh RUN HANDOUT}
handout=${2:?usage: coordinate.sh RUN HANDOUT}

# Where no folder is shared with whoever prepared the run, what was prepared comes with the handout.
if [ ! -e "$run/run.json" ] && [ -e "$handout/run.tar.gz" ]; then
    mkdir -p "$run" && tar -xzf "$handout/run.tar.gz" -C "$run" || exit 1
fi

python -m coordinator run --run "$run" --handout "$handout" &
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

# What follows takes its time and gives no signs of life: a sign of an hour hence says that nothing hangs.
if [ -d "${PEERWATT_SIGNS_OF_LIFE:-}" ]; then
    touch -d '1 hour' "$PEERWATT_SIGNS_OF_LIFE/alive" "$PEERWATT_SIGNS_OF_LIFE/connected"
fi

# Others write their records as they leave. Those that run elsewhere keep log and record there.
records_missing() {
    if [ -e "$run/logs/coordinator2.jsonl" ]; then # two communities, each with a coordinator of its own
        [ -e "$run/records/communities/coordinator2.json" ] || return 0
    fi
    for config in "$run"/config/members/*.json; do
        member=$(basename "$config" .json)
        [ ! -e "$run/logs/$member.jsonl" ] || [ -e "$run/records/members/$member.json" ] || return 0
    done
    return 1
}
seconds=0
while records_missing && [ "$seconds" -lt 20 ]; do
    sleep 1
    seconds=$((seconds + 1))
done
exec peerwatt report "$run"
