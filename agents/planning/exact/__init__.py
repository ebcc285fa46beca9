"""Exact plans and bounds where every slot's objective is convex: water values, and a search in the peak."""
