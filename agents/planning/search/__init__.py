"""Evolutionary search over stored-energy trajectories where planning is not convex (pymoo)."""
