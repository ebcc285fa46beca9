"""How agents reach one another: the connection to the XMPP server and the form of a message on it."""
