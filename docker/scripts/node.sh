#!/bin/sh
# node.sh: one node of ejabberd in a swarm, told by PEERWATT_NODE and the other variables of runtime/xmpp/ejabberd.
#
# It begins once its own name leads here: before, other nodes would not find it. What this name leads to is the
# address on the nodes' own network, and nodes are listened to on no other.
set -eu
host=${PEERWATT_NODE:?expected ejabberd@HOST}
host=${host#*@}

own_address() {
    # A container that was here before may be named for a moment longer.
    for address in $(getent ahostsv4 "$host" | cut -d ' ' -f 1 | sort -u); do
        case " $(hostname -I) " in *" $address "*) echo "$address" && return ;; esac
    done
    return 1
}

until PEERWATT_NODES_INTERFACE=$(own_address); do sleep 0.5; done
export PEERWATT_NODES_INTERFACE
exec python -m runtime.xmpp.ejabberd
