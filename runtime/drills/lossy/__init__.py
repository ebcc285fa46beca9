"""An agent process whose messages get lost, or arrive twice; started by a drill instead of it."""
