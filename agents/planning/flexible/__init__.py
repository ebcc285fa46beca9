"""Vehicles and appliances planned together with the battery."""
