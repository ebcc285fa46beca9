"""Devices that set-points are written to, one module each."""
