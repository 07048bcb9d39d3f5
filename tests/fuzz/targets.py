"""What is fuzzed: one function for each target, which takes bytes and may raise nothing.

A function reads the bytes as drawcli would, allows for the errors that its readers may raise, and
asserts what must be true of whatever was read. Most compare with what the bytes say by a second
reader, written here by hand: a length that is off by one raises nothing, but is read differently.

To add a target, write a function with `@target` in a module that TARGET_MODULES names, and put
some valid inputs into `corpus/NAME/`. It counts in `READ` what it reads to the end, so that a
reader that refuses everything is noticed.
"""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

Fuzzed = Callable[[bytes], None]
CORPUS: Final = Path(__file__).parent / "corpus"
TARGET_MODULES: Final = (
    *("dicom_messages", "dicom_stream", "pull_answers", "web_answers"),
    *("image_files", "code_streams", "frame_groups", "structure_set_files", "zip_files"),
    *("site_files", "server_http", "server_download", "former_files"),
)
READ: Final = Counter[str]()  # inputs that were read to the end, by target
COSTLY: Final = {  # targets of which one input costs as much CPU time as this many usual ones
    "package_gate": 10,
    "rule_header": 6,
    "rules_file": 4,
    "server_answer_http_2": 4,
    "server_download": 3,
    "settings_file": 2,
    "templates_file": 2,
}
_TARGETS: Final[dict[str, Fuzzed]] = {}


def uncut(data: bytes) -> list[bytes]:
    """Return an input as one message."""
    return [data]


class Units(NamedTuple):
    """How an input is cut into messages, and made of them again, with the right lengths."""

    split: Callable[[bytes], list[bytes]] = uncut
    join: Callable[[list[bytes]], bytes] = b"".join
    alter: Callable[[bytes, Random], bytes] | None = None  # changes a value inside of it


UNITS: Final[dict[str, Units]] = {}  # of targets whose inputs are several messages


def target(function: Fuzzed) -> Fuzzed:
    """Register a function under its name."""
    _TARGETS[function.__name__] = function
    return function


def targets() -> dict[str, Fuzzed]:
    """Return every target by name."""
    for module in TARGET_MODULES:
        import_module(f"tests.fuzz.{module}")
    return _TARGETS


def corpus(name: str) -> dict[str, bytes]:
    """Return the inputs of a target: valid ones, and those that found a fault."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}
