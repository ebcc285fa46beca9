"""The layout's rules: who may import whom, what a prosumer's process carries, that nothing is skipped."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PACKAGES = ["agents", "coordinator", "runtime"]

MAY_NOT_IMPORT = {
    "agents": {"coordinator", "tests"},
    "coordinator": {"agents", "tests"},
    "runtime": {"agents", "coordinator", "tests"},
}

BELOW = {
    "agents": (
        ("devices", "forecast", "planning"),
        ("bargaining", "operation", "prosumer", "session"),
    ),
    "coordinator": (
        ("costs.py", "mechanisms", "optimum", "settlement"),
        ("negotiation", "operation", "rounds", "session", "slots", "two_communities"),
    ),
}
"""What is worked out, which does not know of those who do with it what messages ask for."""

HEAVY = [
    "pandas",
    "scipy",
    "matplotlib",
    "pvlib",
    "demandlib",
    "holidays",
    "pyjabber",
    "sqlalchemy",
    "aioxmpp",
    "typer",
    "rich",
    "textual",
    "prometheus_client",
    "coordinator",
]

SKIPPERS = {"skip", "skipif", "xfail", "importorskip", "skipTest", "expectedFailure"}


def modules_of(package: str) -> list[Path]:
    """Every module of a package."""
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imported_by(tree: ast.AST) -> set[str]:
    """Top-level packages that a module imports, as ``modules_imported_by``."""
    return {name.partition(".")[0] for name in modules_imported_by(tree)}


def modules_imported_by(tree: ast.AST) -> set[str]:
    """Modules that a module imports, wherever it does, also by ``import_module("…")``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                names |= {module, *(f"{module}.{alias.name}" for alias in aliases)}
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names.add(name)
    return names


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_meet_in_messages_only(package: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(foreign)
        for path in modules_of(package)
        if (foreign := imported_by(parsed(path)) & MAY_NOT_IMPORT[package])
    }
    assert not wrong


@pytest.mark.parametrize("package", BELOW)
def test_what_is_worked_out_does_not_know_of_messages(package: str) -> None:
    lower, upper = BELOW[package]
    paths = [path for path in modules_of(package) if path.relative_to(ROOT / package).parts[0] in lower]
    assert {path.relative_to(ROOT / package).parts[0] for path in paths} == {*lower}
    above = {f"{package}.{name}" for name in upper}
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in paths
        if (found := {".".join(name.split(".")[:2]) for name in modules_imported_by(parsed(path))} & above)
    }
    assert not wrong


def test_no_module_imports_relatively() -> None:
    """Relative imports would slip past the rule above."""
    wrong = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules_of(package)
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(parsed(path)))
    ]
    assert not wrong


def test_the_import_rule_sees_every_way_to_import() -> None:
    text = """
import coordinator.session
def late():
    from agents.prosumer import ProsumerMachine
    importlib.import_module("runtime.cli")
    import_module("tests.x")
"""
    assert imported_by(ast.parse(text)) == {"coordinator", "agents", "runtime", "tests"}


@pytest.mark.parametrize(
    ("imports", "also_heavy"),
    [
        ("import agents.__main__, agents.process, agents.prosumer", []),
        ("import runtime.fleet.preload", []),
        ("import runtime.fleet.entry, runtime.process, runtime.messaging.agent", ["pymoo"]),
    ],
)
def test_a_prosumer_process_carries_nothing_heavy(imports: str, also_heavy: list[str]) -> None:
    heavy = HEAVY + also_heavy
    if "preload" in imports:
        heavy = [name for name in heavy if name != "coordinator"]  # one fork server for both
    loaded = "{name.partition('.')[0] for name in sys.modules}"
    program = f"import sys; {imports}; print(*sorted({set(heavy)!r} & {loaded}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    wordless = [
        str(path.relative_to(ROOT)) for path in modules_of(package) if not ast.get_docstring(parsed(path))
    ]
    assert not wordless


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    wrong = []
    for path in modules_of("tests"):
        for node in ast.walk(parsed(path)):
            name = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.id
                if isinstance(node, ast.Name)
                else ""
            )
            if name in SKIPPERS:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")  # type: ignore[attr-defined]
    assert not wrong


def test_every_folder_of_tests_has_a_folder_of_the_software_or_a_purpose_of_its_own() -> None:
    own = {"docker", "end_to_end", "machines", "agents", "coordinator"}
    parts = {path.name for path in (ROOT / "runtime").iterdir() if path.is_dir()}
    folders = {
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("**/*.py"))
    }
    assert folders <= own | parts
