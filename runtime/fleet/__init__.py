"""A run's processes: XMPP server, coordinator, prosumers, meters; started, watched, restarted, stopped."""
