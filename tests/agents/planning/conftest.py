"""Puts this folder on the path: tests in the folders below share ``planning_cases``."""
