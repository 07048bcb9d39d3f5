"""The shape of the package, kept by tests rather than by memory."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import drawcli

PACKAGE = Path(drawcli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from layers to its left. Steps and adapters do not import their siblings.
LAYERS = [
    "errors",
    "core",
    "pictures",
    "nomenclature",
    "files",
    "yamlfile",
    "handwritten",
    "rulefile",
    "casefile",
    "picking",
    "schemas",
    "access",
    "sections",
    "config",
    "logs",
    "connection",
    "answers",
    "turns",
    "pacing",
    "receiving",
    "exchange",
    "tokenstore",
    "login",
    "runs",
    "progress",
    "ledger",
    "scanindex",
    "adapters",
    "pixels",
    "context",
    "survey",
    "steps",
    "delivered",
    "arrived",
    "previewing",
    "pipeline",
    "following",
    "actions",
    "showing",
    "oneoff",
    "export",
    "explaining",
    "writing",
    "composing",
    "keyring",
    "copies",
    "upkeep",
    "overview",
    "reporting",
    "plots",
    "reportpage",
    "checkup",
    "searching",
    "bundle",
    "render",
    "sandbox",
    "demo",
    "cli",
    "pytest_plugin",
    "__main__",
]
CLOSED = {"steps", "adapters"}
# The sandbox is an honest peer: it shares no code with the client.
SANDBOX_MAY_IMPORT = {"errors", "sandbox"}
# Which outside packages may be named where; a package not listed may be named nowhere.
OUTSIDE = {
    "PIL": {"pictures", "previewing"},
    "contourpy": {"pictures", "sandbox"},
    "cryptography": {"scanindex", "adapters"},
    "filelock": {"ledger", "scanindex", "adapters", "tokenstore"},
    "httpx": {"adapters", "answers", "connection", "exchange", "login", "receiving"},
    "isal": {"adapters"},
    "keyring": {"adapters"},
    "numpy": {"pictures", "pixels", "sandbox"},
    "orjson": {"ledger"},
    "platformdirs": {"config"},
    "pydantic": {"core", "yamlfile", "sections", "config", "adapters"},
    "pydantic_core": {"yamlfile"},
    "pydantic_settings": {"config"},
    "pydicom": {"core", "adapters", "pixels", "sandbox", "demo"},
    "pytest": {"pytest_plugin"},
    "re2": {"core"},
    "rich": {"render", "cli", "demo"},
    "shapely": {"core"},
    "starlette": {"sandbox"},
    "tenacity": {"adapters"},
    "tinydb": {"ledger"},
    "truststore": {"connection"},
    "typer": {"cli"},
    "uvicorn": {"sandbox"},
    "watchfiles": {"adapters"},
    "yaml": {"yamlfile", "handwritten", "core", "sandbox"},
}
# Modules of core touch no file, clock, socket or random number.
IMPURE = {
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "time",
}
# What the engine and its gate may have in common; else one mistake would blind both.
OF_BOTH_SIDES = {"drawcli.errors"}
LONGEST_MODULE = 350  # lines
LONGEST_FUNCTION = 45  # lines without its docstring


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def reached(module: str) -> set[str]:
    """Return a module of the package and all of the package that it imports, however far."""
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        seen |= waiting
        names = {name for one in waiting for name in imported(path_of(one)) if "drawcli." in name}
        modules = {name if path_of(name).exists() else name.rpartition(".")[0] for name in names}
        waiting = {one for one in modules if path_of(one).exists()} - seen
    return seen


def path_of(module: str) -> Path:
    return PACKAGE.parent / Path(*module.split(".")).with_suffix(".py")


each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES]
)


@each_module
def test_imports_point_to_the_left(path: Path) -> None:
    here = layer(path)
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "drawcli" and rest != ["__version__"]:
            there = rest[0]
            assert LAYERS.index(there) <= LAYERS.index(here), name
            assert not (here in CLOSED and there == here and path.stem != "__init__"), name
            if here == "sandbox":
                assert there in SANDBOX_MAY_IMPORT, name
        elif top not in sys.stdlib_module_names | {"drawcli"}:
            assert here in OUTSIDE.get(top, set()), name


@each_module
def test_core_is_pure(path: Path) -> None:
    if layer(path) == "core":
        assert IMPURE.isdisjoint(name.split(".")[0] for name in imported(path))


@each_module
def test_modules_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            doc = len((ast.get_docstring(node) or "").splitlines())
            assert (node.end_lineno or 0) - node.lineno - doc <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("engine", ["deidentify", "codestream", "profile", "dicom", "pseudonym"])
def test_the_privacy_gate_shares_no_code_with_the_engine(engine: str) -> None:
    gate = reached("drawcli.adapters.gate")

    assert {f"drawcli.core.{name}" for name in ("leaks", "known", "compressed")} <= gate
    assert gate & reached(f"drawcli.core.{engine}") <= OF_BOTH_SIDES


def test_two_places_catch_everything() -> None:
    broad = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "Exception"
    ]
    client = [path for path in broad if not path.startswith("sandbox/")]

    assert client == ["cli/door.py", "pipeline.py"]


def test_only_render_writes_to_standard_output() -> None:
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        if layer(path) != "render":
            assert "sys.stdout" not in source, path
            assert not any(
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
                for node in ast.walk(ast.parse(source))
            ), path
