"""Prosody for one community: configuration, modules, and one that runs in a private directory."""
