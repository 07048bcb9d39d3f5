"""Patterns of file names: which files of the datastore are looked at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property


@dataclass(frozen=True)
class Globs:
    """What is taken, and what is left out, by paths within the datastore with "/" in them.

    A pattern with a "/" is held against the whole path below the datastore, any other against each
    name on it. An empty `include` takes all.

    >>> globs = Globs(include=("*.dcm",), exclude=("research/*", "tmp"))
    >>> globs.takes("ward/1.dcm"), globs.takes("ward/notes.txt"), globs.takes("research/1.dcm")
    (True, False, False)
    >>> globs.enters("ward"), globs.enters("ward/tmp")
    (True, False)
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is left out at all."""
        return bool(self.include or self.exclude)

    def takes(self, path: str) -> bool:
        """Tell whether a file is looked at."""
        wanted = not self.include or _matches(self._wanted, path)
        return wanted and not _matches(self._unwanted, path)

    def enters(self, path: str) -> bool:
        """Tell whether a folder is looked into."""
        return not _matches(self._unwanted, path)

    @cached_property
    def _wanted(self) -> "_Patterns":
        return _compiled(self.include)

    @cached_property
    def _unwanted(self) -> "_Patterns":
        return _compiled(self.exclude)


_Patterns = tuple[re.Pattern[str] | None, re.Pattern[str] | None]


def _compiled(patterns: Sequence[str]) -> _Patterns:
    """Return what is held against paths, and what against names."""
    paths = [translate(one.removesuffix("/")) for one in patterns if "/" in one.removesuffix("/")]
    names = [translate(one.removesuffix("/")) for one in patterns if "/" not in one[:-1]]
    return _either(paths), _either(names)


def _either(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(patterns)) if patterns else None


def _matches(patterns: _Patterns, path: str) -> bool:
    whole, names = patterns
    if whole is not None and whole.match(path):
        return True
    return names is not None and any(names.match(name) for name in path.split("/"))
