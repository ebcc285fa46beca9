"""Trade-off fronts among a member's objectives, and the choice of a plan from one."""
