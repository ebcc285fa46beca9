"""A meter on a device that carries no SPADE: the same messages over aioxmpp, installable alone."""
