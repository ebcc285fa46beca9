"""A member's meters: the agents that answer its prosumer, and the sources they read."""
