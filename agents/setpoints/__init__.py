"""Controllers of batteries: set-points within limits, written to devices."""
