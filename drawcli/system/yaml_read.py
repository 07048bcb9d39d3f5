"""YAML files with places: what is wrong is told with file, line and column, all of it at once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import yaml

from drawcli.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails
from drawcli.system.yaml_problems import _INDENT_HINT, yaml_problem

Location = tuple[Any, ...]  # keys and indices from the top of a document to a value
_LARGEST_FILE: Final = 1_000_000  # bytes; a rules file of this size is a mistake
_MOST_VALUES: Final = 100_000  # with every alias written out
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = _TAG + "merge"
_NUMBERS: Final = frozenset({_TAG + "int", _TAG + "float"})
# Not in here: what stands for a byte beyond UTF-8 in the name of a folder (os.fsdecode).
_NO_TEXT: Final = re.compile("[\x00\ud800-\udc7f\udd00-\udfff]")
_DATE: Final = _TAG + "timestamp"
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?(e[-+][0-9]+)?|[-+]?\.(inf|nan)")
_QUOTED: Final = re.compile(r"'([^']+)'")


# What pydantic finds, in the words of somebody who writes settings; {} takes from its context.
_WORDS: Final = {
    "missing": "is missing",
    "int_type": "should be a whole number, without quotes",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "string_type": "should be a text; put it in quotes",
    "string_too_short": "should not be empty",
    "list_type": "should be a list, such as [one, another]",
    "too_short": "should not be empty",
    "dict_type": "should have keys with values below it",
    "model_type": "should have keys with values below it",
    "model_attributes_type": "should have keys with values below it",
    "path_type": "should be a path",
    "literal_error": "should be {expected}",
    "greater_than": "should be greater than {gt:g}",
    "greater_than_equal": "should be at least {ge:g}",
    "less_than_equal": "should be at most {le:g}",
}

_ASKED: Final = frozenset({"when", "header"})  # what stands below is compared with headers


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file: its data, and where each key of it stands."""

    path: Path
    data: Any
    source: bytes
    places: Mapping[tuple[str, ...], tuple[int, int]] = field(repr=False)

    def place(self, location: Location) -> str:
        """Return `file:line:column` of a value, or of what it stands in."""
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
        Where the file cannot be read, is not YAML, repeats a key, or holds what YAML reads as
        something else than it looks (0123 is 83).
    """
    return parse_yaml(path, _bytes(path))


def parse_yaml(path: Path, source: bytes) -> Document:
    """Return what a file of some bytes says; see `read_yaml`."""
    text = _text(path, source)
    try:
        return _document(path, source, text)
    except yaml.YAMLError as err:
        raise ConfigError(yaml_problem(path, text, err), hint=_INDENT_HINT) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deep") from None


def raise_all(problems: Iterable[str], *, hint: str = "") -> None:
    """Raise one ConfigError that names every problem, if there is any."""
    told = list(dict.fromkeys(problems))
    if told:
        raise ConfigError("\n".join(told), hint=hint)


def meant(name: object, known: Iterable[object]) -> str:
    """Return a suggestion for a mistyped name, or nothing.

    >>> meant("qiet_minutes", ["quiet_minutes", "min_slices"])
    "; did you mean 'quiet_minutes'?"
    """
    names = {str(other).casefold(): str(other) for other in known if str(other)}
    near = get_close_matches(str(name).casefold(), names, n=1)
    return f"; did you mean '{names[near[0]]}'?" if near else ""


def problems_of(
    err: "ValidationError", model: "type[BaseModel]", document: Document, *, top: Location = ()
) -> list[str]:
    """Return one line for each thing that a pydantic model finds wrong with a document."""
    return [
        f"{document.place((*top, *error['loc']))}: {problem_text(error, model)}"
        for error in err.errors(include_url=False)
    ]


def problem_text(error: "ErrorDetails", model: "type[BaseModel]") -> str:
    """Return what is wrong in the words of the file: key, fault, suggestion; never the value."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    name = ".".join(str(part) for part in location)
    context = error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"unknown key '{name}'{meant(location[-1], _keys(model, location[:-1]))}"
    if error["type"] == "literal_error" and "[key]" in error["loc"]:
        return f"unknown key '{name}'{meant(location[-1], _QUOTED.findall(context['expected']))}"
    words = _WORDS.get(error["type"])
    message = error["msg"].removeprefix("Value error, ") if words is None else ""
    what = f"{message[:1].lower()}{message[1:]}" if words is None else words.format(**context)
    return f"'{name}' {what}" if name else f"this {what}"


def _keys(model: "type[BaseModel]", location: Location) -> list[str]:
    """Return the keys that a model knows at a location; none where it cannot be told."""
    from pydantic import BaseModel

    here: Any = model
    for part in location:
        fields = getattr(here, "model_fields", {})
        here = fields[part].annotation if part in fields else here
        inner = [kind for kind in (here, *get_args(here)) if isinstance(kind, type)]
        models = [kind for kind in inner if issubclass(kind, BaseModel)]
        here = models[0] if models else here
    return list(getattr(here, "model_fields", {}))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            source = stream.read(_LARGEST_FILE + 1)
    except OSError as err:
        raise ConfigError(
            f"{path}: {err.strerror}", hint="Run 'drawcli init' to make the files of a site."
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
            f"{path}:{line}:{column}: not UTF-8", hint="Save the file in the encoding UTF-8."
        ) from None


def _document(path: Path, source: bytes, text: str) -> Document:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(path, None, source, {})
        reader = _PlaceReader(loader, path)
        if reader.read(node, ()) > _MOST_VALUES:
            reader.problems.append(f"{path}: aliases make it larger than {_MOST_VALUES} values")
        raise_all(reader.problems)
        return Document(path, loader.construct_document(node), source, reader.places)
    finally:
        loader.dispose()


@dataclass(slots=True)
class _PlaceReader:
    """Walks the nodes of a document once; an alias is counted but not walked again."""

    loader: yaml.SafeLoader
    path: Path
    places: dict[tuple[str, ...], tuple[int, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)  # of nodes; 0 while one is being read

    def read(self, node: yaml.Node, location: tuple[str, ...]) -> int:
        """Note where a node and all below it stand; return how many values that is."""
        self.places.setdefault(location, _place(node))
        if id(node) in self.sizes:
            if not self.sizes[id(node)]:
                self._tell(node, "'&' and '*' make this a part of itself")
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
                self._tell(key_node, "a key is one word; put a text with brackets in quotes")
                continue
            key = self._scalar(key_node, location)
            if key in keys:
                self._tell(key_node, f"'{key}' stands here a second time")
            keys.add(key)
            self.places[(*location, str(key))] = _place(key_node)
            size += self.read(value_node, (*location, str(key)))
        return size

    def _scalar(self, node: yaml.Node, location: tuple[str, ...]) -> Any:
        """Return what YAML makes of a word; tell where that is not what it looks like."""
        if _NO_TEXT.search(str(node.value)):
            self._tell(node, "holds a NUL or half of a character, which no name and no text has")
        if node.tag not in _NUMBERS | {_DATE}:
            return self.loader.construct_object(node)
        try:
            value = self.loader.construct_object(node)
        except ValueError:
            word = _shown(node.value, location)
            self._tell(node, f"{word} is neither a number nor a date; put a text in quotes")
            return node.value
        if node.tag in _NUMBERS and not _DECIMAL.fullmatch(node.value.lower()):
            word, value_shown = _shown(node.value, location), _shown(value, location, "another")
            self._tell(node, f"YAML reads {word} as {value_shown}; put a text in quotes")
        return value

    def _tell(self, node: yaml.Node, what: str) -> None:
        line, column = _place(node)
        self.problems.append(f"{self.path}:{line}:{column}: {what}")


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _shown(word: Any, location: tuple[str, ...], instead: str = "this word") -> str:
    """Return a word of a file for a message, unless a rule or a test may ask it of a patient."""
    return str(word) if _ASKED.isdisjoint(location) else instead
