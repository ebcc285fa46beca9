"""Builds ``peerwatt-meter``: of this tree the modules that a meter imports, found by following imports."""

from __future__ import annotations

import ast
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup  # type: ignore[import-untyped]
from setuptools.command.build_py import build_py  # type: ignore[import-untyped]

HERE = Path(__file__).absolute().parent
ROOT = HERE.parents[2]
OWN = ("agents", "runtime")


def file_of(module: str) -> Path | None:
    """Source file of a module of this tree; None if it is none."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def imported_by(node: ast.AST) -> Iterator[str]:
    """Names that a module imports when it runs, wherever it does; not what is for type checkers only."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            for other in node.orelse:
                yield from imported_by(other)
            return
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom(module=str(module)):
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported_by(child)


def entry_modules() -> list[str]:
    """Modules that the distribution's commands and entry points name."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["scripts"], *project["entry-points"].values()]
    named = {target.partition(":")[0] for group in groups for target in group.values()}
    return sorted({*named, "agents.meters.devices.pipe"})


def needed_modules() -> set[str]:
    """All modules of this tree that the entry modules import, directly or not, and their packages."""
    found: set[str] = set()
    to_visit = entry_modules()
    while to_visit:
        parts = to_visit.pop().split(".")
        for length in range(1, len(parts) + 1):
            module = ".".join(parts[:length])
            file = file_of(module)
            if file is None or module in found:
                continue
            found.add(module)
            names = imported_by(ast.parse(file.read_text(encoding="utf-8")))
            to_visit += [name for name in names if name.partition(".")[0] in OWN]
    return found


class BuildNeeded(build_py):  # type: ignore[misc]
    """Builds the modules needed alone, not all of their packages."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Modules of a package to build: package, name and file each."""
        found: list[tuple[str, str, str]] = super().find_package_modules(package, package_dir)
        needed = needed_modules()
        return [
            each for each in found if (package if each[1] == "__init__" else f"{package}.{each[1]}") in needed
        ]


if __name__ == "__main__":
    needed = needed_modules()
    packages = sorted(module for module in needed if (file_of(module) or HERE).name == "__init__.py")
    scratch = tempfile.mkdtemp(prefix="peerwatt-meter-")
    setup(
        packages=packages,
        package_dir={"": str(Path("../../.."))},
        include_package_data=False,
        cmdclass={"build_py": BuildNeeded},
        options={"egg_info": {"egg_base": scratch}, "build": {"build_base": scratch}},
    )
