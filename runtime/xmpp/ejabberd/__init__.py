"""ejabberd for one energy community, alone or as a cluster of nodes that carry it together."""
