"""The embedded XMPP server: one process on the loopback interface, for runs on one machine and for tests."""
