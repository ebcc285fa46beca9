import subprocess
import sys


def test_a_prosumer_that_plans_loads_nothing_heavy():
    heavy = (
        "pandas",
        "matplotlib",
        "pvlib",
        "sqlalchemy",
        "typer",
        "rich",
        "highspy",
        "pyjabber",
        "numba",
        "scipy",
        "pydantic",
    )
    code = f"import sys, agents.planning.planner as p; p; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
