"""One market session as its prosumer knows it: plans, slots, and what it leaves to the next one."""
