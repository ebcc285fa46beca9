"""The market's language: envelopes, typed bodies, and exactly-once exchange, all without I/O."""
