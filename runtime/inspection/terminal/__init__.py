"""A run as a screen of text: what it shows, and the program that keeps it up to date."""
