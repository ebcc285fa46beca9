"""A member's forecast of its load and production, from its own metered history."""
