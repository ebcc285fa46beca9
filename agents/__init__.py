"""A member's side: devices, planning, the prosumer agent, and its meter agents."""
