"""Faults on purpose: a run undisturbed, one for each fault, and the outcomes compared."""
