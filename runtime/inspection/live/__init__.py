"""A running deployment asked how it stands, by an XMPP client whose account may ask that and nothing else."""
