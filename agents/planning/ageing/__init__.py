"""Battery ageing by rainflow counting, and plans that heed it."""
