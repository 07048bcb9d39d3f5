"""What is fuzzed: one function for each target, which takes bytes and may raise nothing.

A function reads the bytes as drawcli would, allows for the errors that its readers may raise, and
asserts what must be true of whatever was read. Most compare with what the bytes say by a second
reader, written here by hand: a length that is off by one raises nothing, but is read differently.

To add a target, write a function with `@target` in a module that TARGET_MODULES names, and put
some valid inputs into `corpus/NAME/`.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

Fuzzed = Callable[[bytes], None]
CORPUS: Final = Path(__file__).parent / "corpus"
TARGET_MODULES: Final = ("dicom_messages", "dicom_stream", "pull_answers", "web_answers")
_TARGETS: Final[dict[str, Fuzzed]] = {}


class Units(NamedTuple):
    """How an input is cut into messages, and made of them again, with the right lengths."""

    split: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]


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
