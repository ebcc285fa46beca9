"""Measures a fleet of agents on this machine, beside plain XMPP clients that say as much."""
