"""Loaded once by the fork server of a fleet: every agent process starts with this memory, shared.

Agents and coordinator are named, not imported, so that nothing here depends on them.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from runtime.messaging.lean import preload

preload(
    "agents.__main__",
    "agents.process",
    "agents.meters.process",
    "coordinator.__main__",
    "coordinator.process",
    "runtime.fleet.entry",
    # What numpy and pymoo load when a plan is first made.
    "numpy.ma",
    "numpy.random",
    "pymoo.functions.compiled.info",
)
