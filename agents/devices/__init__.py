"""Physics of what a member owns: PV array and battery, as pure functions on arrays."""
