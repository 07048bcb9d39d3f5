"""YAML files with positions: all errors are reported at once, with file, line and column."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from drawcli.errors import ConfigError
from drawcli.system.failures import raise_shortage
from drawcli.system.printable import counted
from drawcli.system.records import Location
from drawcli.system.yaml_problems import INDENT_HINT, yaml_problem

_LARGEST_FILE: Final = 1_000_000  # bytes; a rules file of this size is a mistake
_MOST_VALUES: Final = 100_000  # with aliases expanded
_DEEPEST: Final = 100  # lists and mappings within each other; a rule has some ten
_LONGEST_NUMBER: Final = 400  # characters; the largest float has some 310
_LARGEST_WHOLE: Final = 2**61 - 2  # larger ones may all have one hash: a square of time
MOST_PROBLEMS: Final = 50  # in one message: the others have the same cause, or are found next
_LONGEST_VALUE: Final = 80  # characters of a number or date in a message
_LONGEST_PROBLEM: Final = 1_000  # characters: it quotes keys and values
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = _TAG + "merge"
_NUMBERS: Final = frozenset({_TAG + "int", _TAG + "float"})
# Without the surrogates with which os.fsdecode escapes a byte of a folder's name.
_NO_TEXT: Final = "[\x00\ud800-\udc7f\udd00-\udfff]"
_DATE: Final = _TAG + "timestamp"
_BOOL: Final = _TAG + "bool"
# Raised by PyYAML where a text is no number, date or truth value, as its form or '!!' tag says.
_OTHER_THAN_TAG: Final = (ValueError, LookupError, AttributeError)
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?(e[-+][0-9]+)?|[-+]?\.(inf|nan)")
_LIBYAML: Final[Any] = getattr(yaml, "CSafeLoader", None)
# Texts that libyaml accepts and PyYAML does not, or reads at another position.
_READ_OTHERWISE: Final = re.compile("[\t?!|>\ufeff]|---")

_COMPARED: Final = frozenset({"when", "header"})  # the values below are compared with headers


class Document(NamedTuple):
    """A YAML file: its data, and the line and column of each key."""

    path: Path
    data: Any
    source: bytes
    places: Mapping[tuple[str, ...], tuple[int, int]]

    def place(self, location: Location) -> str:
        """Return `file:line:column` of a value, or of the nearest parent with a position."""
        names = tuple(str(part) for part in location)
        while names not in self.places and names:
            names = names[:-1]
        line, column = self.places.get(names, (1, 1))
        return f"{self.path}:{line}:{column}"


def read_yaml(path: Path) -> Document:
    """Read one YAML file.

    Raises
    ------
    ConfigError
        Where the file cannot be read, is not YAML, repeats a key, or holds a number in a form
        that YAML reads as another (0123 is 83).
    """
    return parse_yaml(path, _bytes(path))


def parse_yaml(path: Path, source: bytes) -> Document:
    """Parse the bytes of a file; see `read_yaml`."""
    text = _text(path, source)
    try:
        return _document(path, source, text)
    except yaml.YAMLError as err:
        raise ConfigError(yaml_problem(path, text, err), hint=INDENT_HINT) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deep") from None


def raise_problems(problems: Iterable[str], *, hint: str = "") -> None:
    """Raise one ConfigError that names the problems, if there is any; of very many the first."""
    unique = list(dict.fromkeys(problems))
    lines = [_shortened(problem, _LONGEST_PROBLEM) for problem in unique[:MOST_PROBLEMS]]
    if more := len(unique) - len(lines):
        lines.append(f"and {counted(more, 'further error')}")
    if lines:
        raise ConfigError("\n".join(lines), hint=hint)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            source = stream.read(_LARGEST_FILE + 1)
    except OSError as err:
        raise_shortage(err)
        raise ConfigError(
            f"{path}: {err.strerror}", hint="Run 'drawcli init' to create the files of a site."
        ) from None
    if len(source) > _LARGEST_FILE:
        raise ConfigError(f"{path}: larger than {_LARGEST_FILE} bytes")
    return source


def _text(path: Path, source: bytes) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = source.count(b"\n", 0, err.start) + 1
        column = err.start - (source.rfind(b"\n", 0, err.start) + 1) + 1
        raise ConfigError(
            f"{path}:{line}:{column}: not UTF-8", hint="Save the file with UTF-8 encoding."
        ) from None


def _document(path: Path, source: bytes, text: str) -> Document:
    """Parse a text with libyaml; with PyYAML's parser where they differ, and for its messages."""
    if _LIBYAML is not None and not _READ_OTHERWISE.search(text):
        with suppress(yaml.YAMLError):
            return _parsed(path, source, _LIBYAML(text))
    return _parsed(path, source, yaml.SafeLoader(text))


def _parsed(path: Path, source: bytes, loader: yaml.SafeLoader) -> Document:
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(path, None, source, {})
        reader = _PlaceReader(loader, path)
        if reader.read(node, ()) > _MOST_VALUES:
            reader.problems.append(f"{path}: more than {_MOST_VALUES} values with aliases expanded")
        raise_problems(reader.problems)
        return Document(path, loader.construct_document(node), source, reader.places)
    finally:
        loader.dispose()


class _PlaceReader:
    """Reads the nodes of a document once; an alias is counted but not read again."""

    def __init__(self, loader: yaml.SafeLoader, path: Path) -> None:
        self.loader, self.path = loader, path
        self.places: dict[tuple[str, ...], tuple[int, int]] = {}
        self.problems: list[str] = []
        self.sizes: dict[int, int] = {}  # of nodes; 0 while a node is being read

    def read(self, node: yaml.Node, location: tuple[str, ...]) -> int:
        """Record the position of a node and all below it; return the number of values."""
        self.places.setdefault(location, _place(node))
        if len(location) > _DEEPEST:
            raise RecursionError
        if id(node) in self.sizes:
            if not self.sizes[id(node)]:
                self._add(node, "'*' refers to a value that contains it")
            return self.sizes[id(node)]
        self.sizes[id(node)] = 0
        size = 1
        if isinstance(node, yaml.SequenceNode):
            size += sum(self.read(item, (*location, str(i))) for i, item in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            size += self._read_mapping(node, location)
        else:
            self._scalar(node, location)
        self.sizes[id(node)] = size
        return size

    def _read_mapping(self, node: yaml.MappingNode, location: tuple[str, ...]) -> int:
        keys: set[Any] = set()
        size = 0
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                size += self.read(value_node, (*location, "<<"))
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(key_node, "a key is a single value; put a text with brackets in quotes")
                continue
            key = self._scalar(key_node, location)
            if key in keys:
                self._add(key_node, f"duplicate key '{key}'")
            keys.add(key)
            self.places[(*location, str(key))] = _place(key_node)
            size += self.read(value_node, (*location, str(key)))
        return size

    def _scalar(self, node: yaml.Node, location: tuple[str, ...]) -> Any:
        """Return the value of a scalar; report a number that is written in a misleading form."""
        value = str(node.value)
        if not value.isprintable() and re.search(_NO_TEXT, value):
            self._add(node, "contains a NUL or half of a surrogate pair")
        try:
            if node.tag in _NUMBERS and len(value) > _LONGEST_NUMBER:  # a square of time for some
                raise ValueError
            value = self.loader.construct_object(node)
            if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
                raise ValueError
        except _OTHER_THAN_TAG:
            self._add(node, f"{_shown(node.value, location)} is {_why_none(node)}")
            return node.value
        if node.tag in _NUMBERS and not _DECIMAL.fullmatch(node.value.lower()):
            text, value_shown = _shown(node.value, location), _shown(value, location, "another")
            self._add(node, f"YAML reads {text} as {value_shown}; put a text in quotes")
        return value

    def _add(self, node: yaml.Node, problem: str) -> None:
        line, column = _place(node)
        self.problems.append(f"{self.path}:{line}:{column}: {problem}")


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _why_none(node: yaml.Node) -> str:
    """Return what a scalar is that cannot be read as its form says."""
    if node.tag == _BOOL:
        return "not true or false; put a text in quotes"
    if node.tag in _NUMBERS and _DECIMAL.fullmatch(str(node.value).lower()):
        return "too long for a number; put a text in quotes"
    return "neither a number nor a date; put a text in quotes"


def _shown(value: Any, location: tuple[str, ...], instead: str = "this value") -> str:
    """Return a value for a message, unless a rule or a test compares it with patient data."""
    return _shortened(str(value), _LONGEST_VALUE) if _COMPARED.isdisjoint(location) else instead


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
