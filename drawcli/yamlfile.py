"""YAML files with places: what is wrong is told with file, line and column, all of it at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml

from drawcli.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

Location = tuple[Any, ...]  # keys and indices from the top of a document to a value
_LARGEST_FILE = 10_000_000  # bytes; a rules file of this size is a mistake


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file: its data, and where each key of it stands."""

    path: Path
    data: Any
    source: bytes
    places: Mapping[Location, tuple[int, int]] = field(repr=False)

    def place(self, location: Location) -> str:
        """Return `file:line:column` of a value, or of what it stands in."""
        while location not in self.places and location:
            location = location[:-1]
        line, column = self.places.get(location, (1, 1))
        return f"{self.path}:{line}:{column}"


def read_yaml(path: Path) -> Document:
    """Read one YAML file.

    Raises
    ------
    ConfigError
        Where the file cannot be read, is not YAML, or repeats a key.
    """
    try:
        source = path.read_bytes()
        text = source.decode("utf-8-sig")
    except OSError as err:
        raise ConfigError(
            f"{path}: {err.strerror}", hint="Run 'drawcli init' to make the files of a site."
        ) from None
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: not UTF-8 at byte {err.start}") from None
    if len(source) > _LARGEST_FILE:
        raise ConfigError(f"{path}: larger than {_LARGEST_FILE} bytes")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
        reader = _PlaceReader(loader, path)
        if node is not None:
            reader.read(node, ())
    except yaml.YAMLError as err:
        raise ConfigError(_yaml_problem(path, err), hint=_INDENT_HINT) from None
    except (ValueError, RecursionError) as err:
        raise ConfigError(f"{path}: a value cannot be read ({type(err).__name__})") from None
    finally:
        loader.dispose()
    raise_all(reader.problems)
    return Document(path, data, source, reader.places)


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
    names = {str(other).casefold(): str(other) for other in known}
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
    if error["type"] == "extra_forbidden":
        return f"unknown key '{name}'{meant(location[-1], _keys(model, location[:-1]))}"
    if error["type"] == "missing":
        return f"'{name}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"'{name}': {message[:1].lower()}{message[1:]}"


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


_INDENT_HINT = (
    "Look at the line above too: indent with blanks, two for each level, never with tabs."
)


def _yaml_problem(path: Path, err: yaml.YAMLError) -> str:
    mark = getattr(err, "problem_mark", None)
    what = getattr(err, "problem", None) or "not YAML"
    if mark is None:
        return f"{path}: {what}"
    return f"{path}:{mark.line + 1}:{mark.column + 1}: {what}"


@dataclass(slots=True)
class _PlaceReader:
    """Walks the nodes of a document once; an alias is not walked again."""

    loader: yaml.SafeLoader
    path: Path
    places: dict[Location, tuple[int, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def read(self, node: yaml.Node, location: Location) -> None:
        mark = node.start_mark
        self.places.setdefault(location, (mark.line + 1, mark.column + 1))
        if id(node) in self.seen:
            return
        self.seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.read(item, (*location, index))
        elif isinstance(node, yaml.MappingNode):
            self._read_mapping(node, location)

    def _read_mapping(self, node: yaml.MappingNode, location: Location) -> None:
        keys: set[Any] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.loader.construct_object(key_node)
            mark = key_node.start_mark
            if key in keys:
                where = f"{self.path}:{mark.line + 1}:{mark.column + 1}"
                self.problems.append(f"{where}: '{key}' stands here a second time")
            keys.add(key)
            self.places[(*location, key)] = (mark.line + 1, mark.column + 1)
            self.read(value_node, (*location, key))
