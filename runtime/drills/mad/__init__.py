"""A member's process whose member is mad: it spoils its own answers and says all sorts of nonsense beside."""
