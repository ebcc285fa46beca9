"""Meters that people own: one module a way of speaking; each is an entry point ``peerwatt.meter_sources``."""
