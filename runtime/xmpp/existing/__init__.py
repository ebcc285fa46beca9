"""An XMPP server that somebody else runs: its accounts, as a file says, and whether they work."""
