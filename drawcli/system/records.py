"""Records with checked fields: the sections of settings and templates.

A subclass declares its keys as class attributes, each with a kind of `drawcli.system.kinds`:

    class Match(Record):
        on_many: str = setting("hold", choice("hold", "first", "all"))

A record is made from the values of a file. Every problem is found at once: unknown and missing
keys, values of a wrong kind. Only then are the values compared with each other.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Final, NoReturn, Self

Location = tuple[Any, ...]  # keys and indices from the top to a value
Problem = tuple[Location, str, str]  # where; the words before the key, the words after it
WITH_KEYS: Final = "should have keys with values below it"
_NO_DEFAULT: Final = object()


class Invalid(ValueError):
    """Values that cannot be used, with every problem and its location."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(message(problem) for problem in problems))
        self.problems = problems


def unfit(text: str) -> Invalid:
    """Return the error for a value; the text says what it should be."""
    return Invalid([((), "", f" {text}")])


class Kind:
    """What a value may be.

    Parameters
    ----------
    read
        Returns the value as drawcli uses it, or raises ValueError with what it should be.
    schema
        The same as JSON Schema, for editors.
    inner
        Returns the kind of the value of a key, for values with keys.
    is_plain
        Whether the value is one text; otherwise a variable of the environment gives it as JSON.
    """

    __slots__ = ("inner", "is_plain", "read", "schema")

    def __init__(
        self,
        read: Callable[[Any], Any],
        schema: Mapping[str, Any] | None = None,
        *,
        inner: "Callable[[str], Kind | None]" = lambda _: None,
        is_plain: bool = True,
    ) -> None:
        self.read = read
        self.schema: dict[str, Any] = dict(schema or {})
        self.inner = inner
        self.is_plain = is_plain


class Field:
    """A key of a record: its kind and its default."""

    __slots__ = ("_default", "kind")

    def __init__(self, default: Any, kind: Kind) -> None:
        self._default = default
        self.kind = kind

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self._default is _NO_DEFAULT

    @property
    def default(self) -> Any:
        """The default; a new object each time if it can be changed."""
        value = self._default
        return value() if isinstance(value, type) else value.copy() if _is_open(value) else value


def setting(default: Any, kind: Kind) -> Any:
    """Declare a key with a default; a class stands for an object of it."""
    return Field(default, kind)


def required(kind: Kind) -> Any:
    """Declare a key without a default."""
    return Field(_NO_DEFAULT, kind)


class Record:
    """Base of records; raises Invalid if the values given cannot be used."""

    fields: ClassVar[Mapping[str, Field]] = {}
    given: frozenset[str]  # the keys that were given; the others have their defaults

    def __init_subclass__(cls) -> None:
        """Collect the keys of the class, those of its base first."""
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls.fields = {**cls.fields, **own}

    def __init__(self, **given: Any) -> None:
        problems = list[Problem]()
        values = {name: _value(name, self.fields[name], given, problems) for name in self.fields}
        problems += [
            ((name,), "unknown key ", suggest(name, self.fields))
            for name in given
            if name not in self.fields
        ]
        if problems:
            raise Invalid(problems)
        self.__dict__.update(values, given=frozenset(given))
        try:
            self.check()
        except ValueError as err:
            raise Invalid([((), "", f": {err}")]) from None

    @classmethod
    def read(cls, value: Any) -> Self:
        """Return the record of a mapping, or the record itself; raise Invalid."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise unfit(WITH_KEYS)
        return cls(**{str(key): one for key, one in value.items()})

    def check(self) -> None:
        """Raise ValueError if the values do not fit together."""

    def replace(self, **changes: Any) -> Self:
        """Return the record with other values, which are not checked."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__ | changes, given=self.given | changes.keys())
        return changed

    def as_plain(self, *, only_given: bool = False) -> dict[str, Any]:
        """Return the record and all records in it as mappings."""
        names = [name for name in self.fields if not only_given or name in self.given]
        return {name: _plain(getattr(self, name), only_given) for name in names}

    def as_json(self, *, only_given: bool = False) -> str:
        """Return the record as JSON: the same text for the same values."""
        import json

        plain = self.as_plain(only_given=only_given)
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, default=str)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse any change."""
        raise AttributeError(f"{name} of a {type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        """Compare the values."""
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields)

    __hash__ = None  # type: ignore[assignment] # its values may be lists

    def __repr__(self) -> str:
        """Return the record as an expression."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({shown})"


def gathered(parts: "Iterable[tuple[Any, Kind, Any]]", problems: list[Problem]) -> list[Any]:
    """Return values that are read each by its kind; add the problems, with keys or indices."""
    values = []
    for key, kind, value in parts:
        try:
            values.append(kind.read(value))
        except Invalid as err:
            problems += [((key, *at), before, after) for at, before, after in err.problems]
        except ValueError as err:
            problems.append(((key,), "", f" {err}"))
    return values


def message(problem: Problem) -> str:
    """Return a problem as text: key and what is wrong; never the value.

    >>> message((("scan", "min_slices"), "", " should be at least 2"))
    "'scan.min_slices' should be at least 2"
    """
    at, before, after = problem
    name = ".".join(map(str, at))
    if name:
        return f"{before}'{name}'{after}"
    return after.removeprefix(": ") if after.startswith(": ") else f"this{after}"


def suggest(name: object, known: Iterable[object]) -> str:
    """Return a suggestion for a mistyped name, or "".

    >>> suggest("qiet_minutes", ["quiet_minutes", "min_slices"])
    "; did you mean 'quiet_minutes'?"
    """
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""


def nearest(name: object, known: Iterable[object]) -> str:
    """Return the known name that a mistyped one probably means, or ""."""
    names = {str(other).casefold(): str(other) for other in known if str(other)}
    near = get_close_matches(str(name).casefold(), names, n=1)
    return names[near[0]] if near else ""


def _value(name: str, field: Field, given: Mapping[str, Any], problems: list[Problem]) -> Any:
    if name in given:
        return next(iter(gathered([(name, field.kind, given[name])], problems)), None)
    if field.is_required:
        problems.append(((name,), "", " is missing"))
        return None
    return field.default


def _plain(value: Any, only_given: bool) -> Any:  # noqa: FBT001 - of as_plain
    if isinstance(value, Record):
        return value.as_plain(only_given=only_given)
    if isinstance(value, dict):
        return {key: _plain(item, only_given) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, only_given) for item in value]
    return value


def _is_open(value: Any) -> bool:
    return isinstance(value, list | dict)
