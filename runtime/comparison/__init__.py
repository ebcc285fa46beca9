"""Compares ways of trading: the same community under each of them, and what it comes to, on one page."""
