"""The coordinated optimum: what a community would pay if one hand ran all its batteries, knowing everything.

It is the lower bound that mechanisms are held against. ``stores.py`` says what can be stored,
``program.py`` writes the problem down, ``linear_model.py`` hands its columns and rows to HiGHS, ``solve.py``
makes an optimum of what comes back.
"""

from coordinator.optimum.solve import (
    Optimum,
    OptimumTimeoutError,
    optimise,
)
from coordinator.optimum.stores import Store, battery_store, vehicle_store

__all__ = [
    "Optimum",
    "OptimumTimeoutError",
    "Store",
    "battery_store",
    "optimise",
    "vehicle_store",
]
