"""The shape of the package, kept by tests rather than by memory."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import drawcli

PACKAGE = Path(drawcli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Six floors, the top first. A folder imports from its own, from floors below, and on its floor from
# what stands to its left. The sandbox stands beside the house: it plays the server.
FLOORS = (
    ("dashboard", "cli", "pytest_plugin", "__main__"),  # doors: the web page, the command line
    (
        "operations",
        "authoring",
    ),  # what a person or a monitor does about a site; new rules, templates
    ("pipeline",),  # the steps of the cycle, and what runs them
    ("config", "adapters"),  # settings; everything that touches the outside
    ("core",),  # pure: no file, clock, socket or random number
    ("errors", "system"),  # files, platforms, threads, YAML
)
# Delivery targets and archives are nodes, too.
OF_NODES = {
    (one, node) for one in ("delivery", "archive") for node in ("dicom_network", "dicom_web")
}
SANDBOX_MAY_IMPORT = {"errors", "sandbox"}
SANDBOX_IS_IMPORTED_BY = {"cli/training/sandbox_commands.py", "cli/training/sandbox_options.py"}
MOST_MODULES = {"drawcli": 6, "cli": 45}  # in a folder; 20 in any other
# Which outside packages may be named where; a package not listed may be named nowhere.
OUTSIDE = {
    "PIL": {"core/pictures", "pipeline/preview.py"},
    "apprise": {"adapters/notifications.py"},
    "argon2": {"dashboard"},
    "contourpy": {"core/pictures", "sandbox"},
    "cryptography": {"adapters"},
    "filelock": {"adapters", "operations/alarms.py"},
    "h2": {"adapters/server"},
    "httpx": {
        "adapters/server",
        "adapters/archive/web_archive.py",
        "adapters/dicom_web/web_client.py",
        "system/network/http_client.py",
        "adapters/notifications.py",
        "operations/heartbeat.py",
        "adapters/identity_provider/requests.py",
        "adapters/site_status/queried_page.py",
    },
    "isal": {"adapters", "core/pictures/png.py"},
    "jinja2": {"dashboard"},
    "jpeg_ls": {"core/frames"},
    "jwt": {"adapters/identity_provider/id_token.py"},
    "keyring": {"adapters/server"},
    "libjpeg": {"core/frames"},
    "markupsafe": {"dashboard"},
    "numpy": {"core", "pipeline/preview_pixels.py", "sandbox"},
    "obstore": {"adapters/work_store"},
    "openjpeg": {"core/frames"},
    "orjson": {"adapters/ledger", "core/dicom/decimal_strings.py", "core/gate/acceptance.py"},
    "platformdirs": {"config"},
    "procrastinate": {"adapters/work_queue"},
    "psycopg": {"adapters/ledger/postgres", "adapters/work_queue"},
    "psycopg_pool": {"adapters/work_queue"},  # of procrastinate
    "pydicom": {"adapters", "core", "dashboard", "pipeline/preview_pixels.py", "sandbox"},
    "pynetdicom": {
        "adapters/archive",
        "adapters/delivery",
        "adapters/dicom_network",
        "sandbox/pacs",
    },
    "pytest": {"pytest_plugin.py"},
    "re2": {"core"},
    "reportlab": {"operations/qa/document_pdf.py", "operations/qa/document_svg.py"},
    "rich": {"cli", "sandbox/demo.py"},
    "scipy": {"core/qa"},
    "shapely": {"core"},
    "starlette": {"sandbox", "dashboard"},
    "tenacity": {"adapters"},
    "tinydb": {"adapters/ledger"},
    "truststore": {"system/network"},
    "typer": {"cli"},
    "uvicorn": {"sandbox", "dashboard"},
    "watchfiles": {"adapters/datastore"},
    "yaml": {"system", "core", "sandbox", "authoring"},
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
OF_ERRORS = {"hint", "wait_seconds", "answered"}  # attributes that errors alone have
LONGEST_MODULE = 300  # lines
LONGEST_FUNCTION = 45  # lines without its docstring


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
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


def folder_of(path: Path) -> str:
    """Return the folder of a module below the package: "adapters/server", or "drawcli" itself."""
    return path.relative_to(PACKAGE).parent.as_posix().replace(".", "drawcli")


def floor_of(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if name in names)


def may_import(here: str, there: str) -> bool:
    """Tell whether one part of the house may import another."""
    if here == there:
        return True
    if here == "sandbox" or there == "sandbox":
        return there in SANDBOX_MAY_IMPORT
    above, below = floor_of(here), floor_of(there)
    names = FLOORS[above]
    return above < below or (above == below and names.index(there) < names.index(here))


def points_downwards(path: Path, name: str) -> bool:
    """Tell whether a module may import a name: of a lower floor, and of no neighbour."""
    top, *rest = name.split(".")
    if top != "drawcli" or rest == ["__version__"]:
        return True
    if named(path) in SANDBOX_IS_IMPORTED_BY and rest[0] == "sandbox":
        return True
    here = path.relative_to(PACKAGE).with_suffix("").parts
    if here[0] == rest[0] == "adapters":  # adapters do not know each other
        return rest[1] == here[1] or (here[1], rest[1]) in OF_NODES
    if here[:2] == ("pipeline", "steps") and rest[:2] == ["pipeline", "steps"]:  # nor do steps
        return path.stem == "__init__"
    return may_import(here[0], rest[0])


def test_imports_point_downwards() -> None:
    imports = [(path, name) for path in MODULES for name in imported(path)]

    assert [(named(path), name) for path, name in imports if not points_downwards(path, name)] == []


def test_an_outside_package_is_imported_where_the_table_says() -> None:
    own = sys.stdlib_module_names | {"drawcli"}
    outside = {
        (named(path), top)
        for path in MODULES
        for name in imported(path)
        if (top := name.split(".")[0]) not in own
    }

    assert {
        (here, top)
        for here, top in outside
        if not any(here == one or here.startswith(f"{one}/") for one in OUTSIDE.get(top, set()))
    } == set()


def test_the_gate_imports_nothing_else_of_drawcli() -> None:
    gate = [path for path in MODULES if named(path).startswith("core/gate/")]
    own = [name for path in gate for name in imported(path) if name.startswith("drawcli")]

    assert own
    assert [name for name in own if not name.startswith("drawcli.core.gate.")] == []


def test_no_folder_holds_more_modules_than_a_reader_can_survey() -> None:
    counts = Counter(folder_of(path) for path in MODULES if path.stem != "__init__")

    assert {name: n for name, n in counts.items() if n > MOST_MODULES.get(name, 20)} == {}


def test_core_is_pure() -> None:
    core = [path for path in MODULES if layer(path) == "core"]

    assert core
    assert [
        (named(path), name)
        for path in core
        for name in imported(path)
        if name.split(".")[0] in IMPURE
    ] == []


def test_modules_and_functions_stay_small() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    functions = [
        (named(path), node.name, (node.end_lineno or 0) - node.lineno - doc)
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef)
        for doc in [len((ast.get_docstring(node) or "").splitlines())]
    ]

    assert [named(path) for path, lines in lengths.items() if lines > LONGEST_MODULE] == []
    assert [one for one in functions if one[2] > LONGEST_FUNCTION] == []


@pytest.mark.parametrize(
    "engine",
    [
        *("deid.engine", "dicom.codestream", "deid.profile", "dicom.header", "deid.pseudonyms"),
        *("frames.split", "frames.decoding", "frames.fragments"),
    ],
)
def test_the_privacy_gate_shares_no_code_with_the_engine(engine: str) -> None:
    gate = reached("drawcli.adapters.gate.package_search")

    parts = ("search", "identifiers", "compressed", "slices", "similar_headers")
    assert {f"drawcli.core.gate.{name}" for name in parts} <= gate
    assert gate & reached(f"drawcli.core.{engine}") <= OF_BOTH_SIDES


def test_the_acceptance_gate_shares_no_reader_with_what_writes_the_structure_set() -> None:
    gate = reached("drawcli.core.gate.structure_set")
    writer = reached("drawcli.core.rtstruct.reidentify")

    assert {"drawcli.core.gate.strict_reader", "drawcli.core.gate.rtstruct_table"} <= gate
    assert {"drawcli.core.dicom.header", "drawcli.core.rtstruct.contours"} <= writer
    assert gate & writer == {"drawcli.core.gate.acceptance"}  # the facts that both speak of


def test_three_places_catch_everything() -> None:
    broad = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "Exception"
    ]
    client = [path for path in broad if not path.startswith("sandbox/")]

    assert client == ["cli/door.py", "operations/workers/lane.py", "pipeline/runner.py"]


def ends_by_raising(handler: ast.ExceptHandler) -> bool:
    """Tell whether an error leaves its handler, or is handed to the thread that waits for it."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) or "set_exception" in ast.unparse(last)


def test_base_exception_is_caught_only_where_it_is_raised_again() -> None:
    assert [
        (named(path), node.lineno)
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or "BaseException" in ast.unparse(node.type))
        and not ends_by_raising(node)
    ] == []


def test_an_error_is_not_changed_once_it_was_raised() -> None:
    caught = {
        (path, node.name)
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler)
    }

    assert [
        (named(path), ast.unparse(node))
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and (
            (path, node.value.id) in caught or (node.attr in OF_ERRORS and node.value.id != "self")
        )
    ] == []


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())

    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_one_module_asks_which_system_this_is() -> None:
    asking = {"sys.platform", "os.name", "os.fork", "os.kill", "signal.SIGKILL"}

    assert {
        path.name
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and f"{node.value.id}.{node.attr}" in asking
    } == {"platforms.py"}


def test_only_render_writes_to_standard_output() -> None:
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        if path.name != "render.py":
            assert "sys.stdout" not in source, path
            assert not any(
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
                for node in nodes_of(path)
            ), path
