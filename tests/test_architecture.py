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
    "limits",
    "core",
    "pictures",
    "nomenclature",
    "platforms",
    "files",
    "elsewhere",
    "yamlfile",
    "handwritten",
    "rulefile",
    "casefile",
    "picking",
    "schemas",
    "access",
    "sections",
    "signals",
    "finding",
    "config",
    "logs",
    "turns",
    "programs",
    "pacing",
    "connection",
    "answers",
    "receiving",
    "exchange",
    "wire",
    "dicom_requests",
    "association",
    "tokenstore",
    "login",
    "runs",
    "auditlog",
    "progress",
    "ledger",
    "scanindex",
    "adapters",
    "pixels",
    "context",
    "identity",
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
    "dump",
    "migrating",
    "keyring",
    "copies",
    "upkeep",
    "auditing",
    "overview",
    "hung",
    "reporting",
    "alarm_memory",
    "alarms",
    "metering",
    "heartbeat",
    "plots",
    "reportpage",
    "checkup",
    "afterwards",
    "searching",
    "bundle",
    "dashboard",
    "schedules",
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
    "apprise": {"adapters"},
    "argon2": {"dashboard"},
    "contourpy": {"pictures", "sandbox"},
    "cryptography": {"scanindex", "adapters"},
    "filelock": {"alarms", "auditlog", "ledger", "logs", "scanindex", "adapters", "tokenstore"},
    "h2": {"answers"},
    "httpx": {"adapters", "answers", "connection", "exchange", "heartbeat", "login", "receiving"},
    "isal": {"adapters"},
    "jinja2": {"dashboard"},
    "keyring": {"adapters"},
    "markupsafe": {"dashboard"},
    "numpy": {"core", "pictures", "pixels", "sandbox"},
    "orjson": {"ledger"},
    "platformdirs": {"finding"},
    "pydantic": {"core", "yamlfile", "sections", "signals", "config", "adapters", "dashboard"},
    "pydantic_core": {"yamlfile"},
    "pydantic_settings": {"config"},
    "pydicom": {"adapters", "core", "dashboard", "demo", "pixels", "sandbox"},
    "pynetdicom": {"adapters", "dicom_requests"},
    "pytest": {"pytest_plugin"},
    "re2": {"core"},
    "rich": {"render", "cli", "demo"},
    "shapely": {"core"},
    "starlette": {"sandbox", "dashboard"},
    "tenacity": {"adapters"},
    "tinydb": {"ledger"},
    "truststore": {"connection"},
    "typer": {"cli"},
    "uvicorn": {"sandbox", "dashboard"},
    "watchfiles": {"adapters"},
    "yaml": {"yamlfile", "handwritten", "core", "sandbox", "migrating"},
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


def test_the_acceptance_gate_shares_no_reader_with_what_writes_the_structure_set() -> None:
    gate = reached("drawcli.core.gate.structure_set")
    writer = reached("drawcli.core.rtstruct.reidentify")

    assert {"drawcli.core.gate.strict_reader", "drawcli.core.gate.rtstruct_table"} <= gate
    assert {"drawcli.core.dicom.header", "drawcli.core.rtstruct.contours"} <= writer
    assert gate & writer == {"drawcli.core.gate.acceptance"}  # the facts that both speak of


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

    assert client == ["cli/door.py", "pipeline/runner.py"]


@each_module
def test_one_module_asks_which_system_this_is(path: Path) -> None:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    asked = {
        f"{node.value.id}.{node.attr}"
        for node in tree
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }

    if layer(path) != "platforms":
        assert asked.isdisjoint({"sys.platform", "os.name", "os.fork", "os.kill", "signal.SIGKILL"})


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
