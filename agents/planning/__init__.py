"""A member's plan: how its battery moves over the horizon, and what that makes it import and export."""
